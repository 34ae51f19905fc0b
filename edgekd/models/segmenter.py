"""The segmenter: backbone, head, 1×1 classifier, and an auxiliary head for training."""

from typing import NamedTuple

import timm
import torch
from torch import Tensor, nn

from edgekd.config import ModelRecipe, nearest
from edgekd.models.backbone import Backbone, can_dilate
from edgekd.models.heads import HEADS
from edgekd.models.heads.fcn import AuxiliaryHead
from edgekd_runtime.errors import UsageError


class SegOutput(NamedTuple):
    """What a segmenter gives.

    Attributes:
        logits: B×C×h×w at the head's stride.
        features: B×A×h×w, what enters the classifier.
        aux_logits: B×C×h'×w' of the auxiliary head, or None.
    """

    logits: Tensor
    features: Tensor
    aux_logits: Tensor | None


class Segmenter(nn.Module):
    """Backbone + head + classifier (+ auxiliary FCN head on stage 3).

    Args:
        name: ``head-backbone``, e.g. ``deeplabv3-resnet18``.
        num_classes: C.
        in_channels: 3, or 4 for LAD's teacher.
        weights: None, ``timm``, or the path of a local ImageNet checkpoint for the backbone.
        output_stride: 8, 16, 32; None = the head's own, or the backbone's where that can't dilate.
        auxiliary: Add the auxiliary head; a head that can't do without one has its own in any case.
        head_channels: Width of the head; None = the head's own.
        dropout: Before each classifier.

    Attributes:
        classifier: The last 1×1 convolution, A → C.
        stride: Of the logits to the image.

    Raises:
        UsageError: If the head or the backbone is unknown.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        num_classes: int,
        *,
        in_channels: int = 3,
        weights: str | None = None,
        output_stride: int | None = None,
        auxiliary: bool = True,
        head_channels: int | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        head_name, _, backbone_name = name.partition("-")
        if head_name not in HEADS or not backbone_name:
            raise UsageError(f"Unknown model {name!r}: a name is HEAD-BACKBONE, heads are {', '.join(HEADS)}{nearest(head_name, HEADS)}")
        kind = HEADS[head_name]
        if output_stride is None and timm.is_model(backbone_name) and can_dilate(backbone_name):
            output_stride = kind.default_stride
        self.name, self.num_classes, self.in_channels = name, num_classes, in_channels
        self.backbone = Backbone(backbone_name, output_stride=output_stride, in_channels=in_channels, weights=weights)
        levels = self.backbone.levels
        self.head = kind(levels, head_channels or kind.default_width(levels), num_classes)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(self.head.out_channels, num_classes, 1)
        self.auxiliary = AuxiliaryHead(levels, 64, num_classes, dropout) if auxiliary and not kind.finds_regions else None
        self.stride = self.head.stride
        extra = in_channels - 3
        for key, values, neutral in (("mean", self.backbone.mean, 0.0), ("std", self.backbone.std, 1.0)):
            self.register_buffer(key, torch.tensor([*values, *[neutral] * extra], dtype=torch.float32)[:, None, None], persistent=False)

    @property
    def gives_auxiliary(self) -> bool:
        """Whether its output has auxiliary logits."""
        return self.auxiliary is not None or self.head.finds_regions

    @property
    def gives(self) -> frozenset[str]:
        """What its output has besides logits, as transfers name it."""
        return frozenset({"features", "classifier", *(["auxiliary"] if self.gives_auxiliary else [])})

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of RGB in 0–1, for the checkpoint."""
        return tuple(self.mean[:3].flatten().tolist()), tuple(self.std[:3].flatten().tolist())

    @property
    def pools_globally(self) -> bool:
        """Whether training needs two images or more in a process."""
        return self.head.pools_globally

    def normalize(self, image: Tensor) -> Tensor:
        """RGB 0–255 (uint8 or float), B×3×H×W → what `forward` takes: (image/255 − mean)/std, float32."""
        return (image.float() / 255 - self.mean[:3]) / self.std[:3]

    def forward(self, image: Tensor) -> SegOutput:
        """Normalised image B×in_channels×H×W → logits, features, auxiliary logits."""
        levels = self.backbone(image)
        features, aux_logits = self.head.decode(levels)
        features = self.dropout(features)
        if self.auxiliary is not None:
            aux_logits = self.auxiliary(levels)
        return SegOutput(self.classifier(features), features, aux_logits)


def build_segmenter(recipe: ModelRecipe, num_classes: int, in_channels: int = 3) -> Segmenter:
    """A segmenter from its recipe."""
    return Segmenter(
        recipe.name,
        num_classes,
        in_channels=in_channels,
        weights=recipe.weights,
        output_stride=recipe.output_stride,
        auxiliary=recipe.auxiliary,
        head_channels=recipe.head_channels,
        dropout=recipe.dropout,
    )
