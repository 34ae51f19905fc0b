"""What every head offers: backbone feature maps in, the features of the last 1×1 classifier out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Levels:
    """The backbone's feature maps, fine to coarse: channels and strides to the image."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def at_stride(self, stride: int) -> int:
        """Index of the first level of that stride, or the finest coarser one."""
        return next(index for index, value in enumerate(self.strides) if value >= stride)


class Head(nn.Module, ABC):
    """A segmentation head without its classifier.

    Attributes:
        out_channels: Channels of the features that enter the classifier.
        stride: Of those features to the image.
        default_width: Width where the recipe gives none.
        default_stride: Output stride where the recipe gives none.
        pools_globally: Normalises a 1×1 map, so it can't train on a single image.
    """

    title: ClassVar[str]
    default_width: ClassVar[int] = 256
    default_stride: ClassVar[int] = 8
    pools_globally: ClassVar[bool] = False
    out_channels: int
    stride: int

    @abstractmethod
    def __init__(self, levels: Levels, width: int) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Feature maps, fine to coarse → B×A×h×w."""


def conv_bn_relu(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> nn.Sequential:
    """Convolution that keeps the size, batch norm, ReLU."""
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
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
