"""What a model costs where it is deployed: parameters and GFLOPs without the auxiliary head."""

from dataclasses import asdict, dataclass
from typing import Any

import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from edgekd.models.backbone import can_dilate
from edgekd.models.heads import HEADS
from edgekd.models.segmenter import Segmenter

HEAD_TITLES = {name: kind.title for name, kind in HEADS.items()}
USUAL_MODELS = (
    "deeplabv3-resnet101",
    "deeplabv3-resnet18",
    "psp-resnet18",
    "fcn-hrnet_w18_small_v2",
    "deeplabv3-mobilenetv2_100",
    "lraspp-mobilenetv3_large_100",
    "lraspp-tf_efficientnet_lite0",
    "lraspp-mobilenetv4_conv_small",
)


@dataclass(frozen=True)
class Cost:
    """Of one model, deployed.

    Attributes:
        name: ``head-backbone``.
        parameters_m: Millions.
        gflops: 10⁹ floating point operations an image; a multiply-add is two.
        stride: Of the logits.
        dilates: Whether its output stride can be chosen.
    """

    name: str
    parameters_m: float
    gflops: float
    stride: int
    dilates: bool

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dictionary."""
        return asdict(self)


def model_cost(name: str, num_classes: int, size: tuple[int, int]) -> Cost:
    """Count on the meta device, so even a large model takes no memory."""
    with torch.device("meta"):
        model = Segmenter(name, num_classes, auxiliary=False).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(torch.zeros(1, 3, *size))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(name, parameters / 1e6, counter.get_total_flops() / 1e9, model.stride, can_dilate(name.partition("-")[2]))


def matching_backbones(pattern: str) -> list[str]:
    """Timm's model names that match a shell pattern."""
    return list(timm.list_models(pattern))
