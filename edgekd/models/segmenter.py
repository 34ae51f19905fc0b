"""The segmenter: backbone, head, 1×1 classifier, and an auxiliary head for training."""

from collections import OrderedDict
from copy import deepcopy
from typing import Any

import timm
from timm.utils import reparameterize_model
from torch import Tensor, nn

from edgekd.config import ModelRecipe
from edgekd.models.backbone import Backbone, can_dilate
from edgekd.models.heads import HEADS, Head
from edgekd.models.heads.fcn import AuxiliaryHead
from edgekd.models.network import Gift, Network, SegOutput
from edgekd_runtime.errors import UsageError
from edgekd_runtime.nearest import nearest
from edgekd_runtime.plugins import is_reference, load_reference

DROPOUTS: dict[str, type[nn.Module]] = {"channels": nn.Dropout2d, "elements": nn.Dropout}


def head_of(name: str) -> type[Head] | None:
    """The head of a ``head-backbone``, ours or ``package.module:Head``; None if the name is no such thing."""
    head, dash, backbone = name.partition("-")
    if not dash or not backbone or not (head in HEADS or is_reference(head)):
        return None
    found: type[Head] = HEADS[head] if head in HEADS else load_reference(head)
    return found


class Segmenter(Network):
    """Backbone + head + classifier (+ auxiliary FCN head on stage 3).

    Args:
        recipe: How it is built, or just its name ``head-backbone``, e.g. ``deeplabv3-resnet18``.
        num_classes: C.
        in_channels: 3, or 4 for LAD's teacher.
        options: Fields of `ModelRecipe`, beside a name.

    Attributes:
        stride: Of the logits to the image.

    Raises:
        UsageError: If the head or the backbone is unknown.
    """

    def __init__(self, recipe: ModelRecipe | str, num_classes: int, in_channels: int = 3, **options: Any) -> None:
        if isinstance(recipe, str):
            recipe = ModelRecipe(name=recipe, **options)
        kind, backbone_name = head_of(recipe.name), recipe.name.partition("-")[2]
        if kind is None:
            head_name = recipe.name.partition("-")[0]
            raise UsageError(
                f"Unknown model {recipe.name!r}: a name is HEAD-BACKBONE, heads are {', '.join(HEADS)}{nearest(head_name, HEADS)}"
            )
        output_stride: int | None = recipe.output_stride
        if output_stride is None and timm.is_model(backbone_name) and can_dilate(backbone_name):
            output_stride = kind.default_stride
        backbone = Backbone(
            backbone_name, output_stride=output_stride, in_channels=in_channels, weights=recipe.weights, pixels=recipe.pixels
        )
        super().__init__(recipe, num_classes, in_channels, mean=backbone.mean, std=backbone.std)
        self.backbone, levels = backbone, backbone.levels
        self.head = kind(levels, recipe.head_channels or kind.default_width(levels), num_classes)
        if recipe.projection_dropout:
            self.head.drop_behind_projection(recipe.projection_dropout)
        self.dropout = DROPOUTS[recipe.dropout_of](recipe.dropout)
        self.classifier = nn.Conv2d(self.head.out_channels, num_classes, 1)
        ships_one = kind.finds_regions
        width, dropout = recipe.auxiliary_channels, DROPOUTS[recipe.dropout_of](recipe.dropout)
        self.auxiliary = AuxiliaryHead(levels, width, num_classes, dropout) if recipe.auxiliary and not ships_one else None
        self.stride, self.multiple = self.head.stride, max(levels.strides)

    classifier: nn.Conv2d

    @property
    def gives(self) -> frozenset[Gift]:
        auxiliary = self.auxiliary is not None or self.head.finds_regions
        return frozenset({"features", "classifier", "auxiliary"} if auxiliary else {"features", "classifier"})

    @property
    def body(self) -> list[nn.Module]:
        return [self.backbone.net]

    @property
    def quantised(self) -> list[nn.Module]:
        return [self.backbone, self.head]

    @property
    def pools_globally(self) -> bool:
        return self.head.pools_globally

    def forward(self, image: Tensor) -> SegOutput:
        levels = self.backbone(image)
        features, aux_logits = self.head.decode(levels)
        features = self.dropout(features)
        if self.auxiliary is not None:
            aux_logits = self.auxiliary(levels)
        return SegOutput(self.classifier(features), features, aux_logits)

    def drop_auxiliary(self) -> None:
        self.auxiliary = None

    def deployable(self) -> nn.Module:
        """Without the auxiliary head, what can be merged (RepViT, MobileOne, …, SegFormer's head) merged: equal up to rounding."""
        copy = deepcopy(self).eval()
        reparameterize_model(copy, inplace=True)
        return nn.Sequential(OrderedDict(backbone=copy.backbone, head=copy.head, classifier=copy.classifier)).eval()
