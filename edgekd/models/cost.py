"""What a model costs where it is deployed: parameters and GFLOPs of the form that ships."""

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
    "deeplabv3-mobilenetv2_100",
    "psp-resnet101",
    "psp-resnet18",
    "fcn-hrnet_w48",
    "fcn-hrnet_w18_small_v2",
    "deeplabv3plus-resnet101",
    "deeplabv3plus-mobilenetv2_100",
    "isa-resnet101",
    "isa-resnet18",
    "ocr-hrnet_w18",
    "stdc-stdc1",
    "stdc-stdc2",
    "lraspp-mobilenetv3_large_100",
    "lraspp-tf_efficientnet_lite0",
    "lraspp-mobilenetv4_conv_small",
    "lraspp-repvit_m0_9",
    "fpn-tf_efficientnet_lite0",
)
"""The pairs that the papers report, teachers first, and light ones."""


@dataclass(frozen=True)
class Cost:
    """Of one model, deployed.

    Attributes:
        name: ``head-backbone``.
        parameters_m: Millions.
        gflops: 10⁹ floating point operations an image; a multiply-add is two.
        output_stride: Of the backbone's coarsest level.
        stride: Of the logits.
        auxiliary_channels: What the auxiliary head reads.
        auxiliary_ships: Whether the head can't do without it; else it is there in training only.
        dilates: Whether its output stride can be chosen.
    """

    name: str
    parameters_m: float
    gflops: float
    output_stride: int
    stride: int
    auxiliary_channels: int
    auxiliary_ships: bool
    dilates: bool

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dictionary."""
        return asdict(self)


def model_cost(name: str, num_classes: int, size: tuple[int, int]) -> Cost:
    """Count on the meta device, so even a large model takes no memory."""
    with torch.device("meta"):
        model = Segmenter(name, num_classes)
        ships = model.deployable()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            ships(torch.zeros(1, 3, *size))
        dilates = can_dilate(name.partition("-")[2])
    levels = model.backbone.levels
    return Cost(
        name=name,
        parameters_m=sum(parameter.numel() for parameter in ships.parameters()) / 1e6,
        gflops=counter.get_total_flops() / 1e9,
        output_stride=max(levels.strides),
        stride=model.stride,
        auxiliary_channels=levels.width(-2),
        auxiliary_ships=model.head.finds_regions,
        dilates=dilates,
    )


def matching_backbones(pattern: str) -> list[str]:
    """Timm's model names that match a shell pattern."""
    return list(timm.list_models(pattern))
