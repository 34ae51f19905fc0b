"""What every head offers: backbone feature maps in, the features of the last 1×1 classifier out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd_runtime.errors import UsageError


@dataclass(frozen=True)
class Levels:
    """The backbone's feature maps, fine to coarse.

    Attributes:
        channels: Of each.
        strides: Of each, to the image.
        parallel: The levels are branches that run side by side (HRNet), so none of them says everything: FCN and OCR read all of them.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    parallel: bool = False

    def at_stride(self, stride: int) -> int:
        """Index of the first level of that stride, or the finest coarser one."""
        return next(index for index, value in enumerate(self.strides) if value >= stride)

    def width(self, level: int) -> int:
        """Channels of what `read` gives."""
        return sum(self.channels) if self.parallel else self.channels[level]

    def stride(self, level: int) -> int:
        """Stride of what `read` gives."""
        return self.strides[0] if self.parallel else self.strides[level]

    def read(self, maps: Sequence[Tensor], level: int) -> Tensor:
        """A level; of a parallel backbone all levels at the finest one's size, side by side (HRNetV2, Sun et al. 2019)."""
        if not self.parallel:
            return maps[level]
        size = (maps[0].shape[-2], maps[0].shape[-1])
        return torch.cat([upsample(x, size) for x in maps], 1)


class Head(nn.Module, ABC):
    """A segmentation head without its classifier.

    Args:
        levels: Of the backbone.
        width: Channels inside, and of the features where nothing else is said.
        num_classes: C, for heads that look for the classes' regions.

    Attributes:
        out_channels: Channels of the features that enter the classifier.
        stride: Of those features to the image.
        default_stride: Output stride where the recipe gives none.
        pools_globally: Normalises a 1×1 map, so it can't train on a single image.
        finds_regions: Has an auxiliary head of its own that it can't do without, also where it is deployed.
    """

    title: ClassVar[str]
    default_stride: ClassVar[int] = 8
    pools_globally: ClassVar[bool] = False
    finds_regions: ClassVar[bool] = False
    out_channels: int
    stride: int

    @abstractmethod
    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__()

    @classmethod
    def default_width(cls, levels: Levels) -> int:
        """Width where the recipe gives none."""
        return 256

    @abstractmethod
    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Feature maps, fine to coarse → B×A×h×w."""

    def drop_behind_projection(self, share: float) -> None:
        """Add element-wise dropout behind the projection that joins the head's branches.

        Raises:
            UsageError: If the head has none.
        """
        raise UsageError(f"{type(self).__name__} has no projection for projection_dropout; leave it out of the recipe.")

    def decode(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """The features, and the logits B×C×h'×w' of the head's own auxiliary head where it has one."""
        return self(levels), None


def conv_bn_relu(inputs: int, outputs: int, kernel: int, *, dilation: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, batch norm, ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize to (H, W), corners aligned: the papers' form, used wherever this project resizes maps."""
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=True)


def average_bins(x: Tensor, bins: int) -> Tensor:
    """Adaptive average pooling to bins×bins as two small matrix products.

    The same numbers as `torch.nn.AdaptiveAvgPool2d`, but it exports to plain MatMuls at every size.
    """
    rows, columns = (_bin_weights(length, bins, x) for length in x.shape[-2:])
    return rows @ x @ columns.mT


def _bin_weights(length: int, bins: int, like: Tensor) -> Tensor:
    weights = torch.zeros(bins, length)
    for index in range(bins):
        first, last = index * length // bins, -(-(index + 1) * length // bins)
        weights[index, first:last] = 1 / (last - first)
    return weights.to(like)
