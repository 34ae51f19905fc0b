"""What a model costs where it is deployed: parameters and GFLOPs of the form that ships."""

from dataclasses import asdict, dataclass
from typing import Any

import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgekd.config import ModelRecipe
from edgekd.models.backbone import can_dilate
from edgekd.models.build import build_network
from edgekd.models.heads import HEADS
from edgekd.models.networks import NETWORKS
from edgekd.models.networks.whole import WholeNetwork
from edgekd.models.published import PUBLISHED, Published
from edgekd.models.segmenter import Segmenter
from edgekd_runtime.errors import UsageError

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
    *NETWORKS,
)
"""The pairs that the papers report, teachers first, light ones, and every whole network."""


@dataclass(frozen=True)
class Cost:
    """Of one model, deployed.

    Attributes:
        name: ``head-backbone``, or a whole network.
        parameters_m: Millions.
        gflops: 10⁹ floating point operations an image; a multiply-add is two.
        output_stride: Of the coarsest level.
        stride: Of the logits.
        auxiliary_channels: What the auxiliary head reads; None of a whole network, whose heads for training are its own.
        auxiliary_ships: Whether the head can't do without it; else it is there in training only.
        dilates: Whether its output stride can be chosen.
        published: What was published of it; None if that is not known here.
    """

    name: str
    parameters_m: float
    gflops: float
    output_stride: int
    stride: int
    auxiliary_channels: int | None
    auxiliary_ships: bool
    dilates: bool
    published: Published | None

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dictionary."""
        return asdict(self)


def model_cost(model: str | ModelRecipe, num_classes: int, size: tuple[int, int]) -> Cost:
    """Count on the meta device, so even a large model takes no memory.

    Args:
        model: Its name, or how it is built.
        num_classes: C.
        size: Network input (H, W).

    Raises:
        UsageError: If there is no such model, or it is one from elsewhere.
    """
    recipe = ModelRecipe(name=model) if isinstance(model, str) else model
    name = recipe.name
    with torch.device("meta"):
        built = build_network(recipe, num_classes, pretrained=False)
        if not isinstance(built, Segmenter | WholeNetwork):
            raise UsageError(f"{name} is a network from elsewhere; `edgekd inspect` says what it costs once it is exported.")
        parameters_m, gflops = deployed_size(built.deployable(), size)
        dilates = name not in NETWORKS and can_dilate(name.partition("-")[2])
    return Cost(
        name=name,
        parameters_m=parameters_m,
        gflops=gflops,
        output_stride=built.multiple if isinstance(built, WholeNetwork) else max(built.backbone.levels.strides),
        stride=built.stride,
        auxiliary_channels=None if isinstance(built, WholeNetwork) else built.backbone.levels.width(-2),
        auxiliary_ships=not isinstance(built, WholeNetwork) and built.head.finds_regions,
        dilates=dilates,
        published=PUBLISHED.get(name),
    )


def deployed_size(ships: nn.Module, size: tuple[int, int]) -> tuple[float, float]:
    """Millions of parameters, and 10⁹ floating point operations an image of (H, W), of the form that ships."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        ships(torch.zeros(1, 3, *size))
    return sum(parameter.numel() for parameter in ships.parameters()) / 1e6, counter.get_total_flops() / 1e9


@dataclass(frozen=True)
class Wanted:
    """Which models are listed; None = no limit.

    Attributes:
        parameters_m: Most millions of parameters.
        gmacs: Most 10⁹ multiply-adds an image.
        licence: SPDX identifier of the public code; without regard to case.
        miou: Least published mIoU, percent.
    """

    parameters_m: float | None = None
    gmacs: float | None = None
    licence: str | None = None
    miou: float | None = None

    def fits(self, cost: Cost) -> bool:
        """Whether a model is listed. What was not published fits no wish about it."""
        published = cost.published
        return (
            (self.parameters_m is None or cost.parameters_m <= self.parameters_m)
            and (self.gmacs is None or cost.gflops / 2 <= self.gmacs)
            and (self.licence is None or (published is not None and published.licence.lower() == self.licence.lower()))
            and (self.miou is None or (published is not None and published.miou >= self.miou))
        )


def matching_backbones(pattern: str) -> list[str]:
    """Timm's model names that match a shell pattern."""
    return list(timm.list_models(pattern))


PRECISIONS = ("fp32", "fp16", "bf16", "int8", "int8-fp16")
"""What TensorRT for RTX parses and builds every model of the contract tests in."""
INT8 = "int8 is for convolutions, additions and pooling: a transformer's matrix products stay in fp16 or fp32, so it gains little"
