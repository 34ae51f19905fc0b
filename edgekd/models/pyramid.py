"""A feature pyramid from the single map of a plain vision transformer (Li et al. 2022, "Exploring plain vision transformer backbones")."""

from itertools import pairwise

from timm.layers import LayerNorm2d
from torch import Tensor, nn

STRIDES = (4, 8, 16, 32)


class SimplePyramid(nn.Module):
    """Levels at strides 4, 8, 16 and 32: finer ones by 2×2 transposed convolutions that halve the channels, coarser ones by max pooling.

    Such a transposed convolution, whose steps do not overlap, is written as what it is: a 1×1 convolution to four times the channels, each
    four of which become a square of pixels. INT8 takes that, and TensorRT in bf16, which fails on the other form.

    The map is normalised first, as a transformer's output is before its classifier. Trained with the head, never pretrained.

    Args:
        channels: Of the map.
        stride: Of the map to the image, a power of two from 4 to 32.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.levels = nn.ModuleList(_resampled(channels, stride, target) for target in STRIDES)
        self.channels = tuple(max(channels * target // stride, 8) if target < stride else channels for target in STRIDES)

    def forward(self, x: Tensor) -> list[Tensor]:
        """B×A×h×w → four maps, fine to coarse."""
        x = self.norm(x)
        return [level(x) for level in self.levels]


def _resampled(channels: int, stride: int, target: int) -> nn.Module:
    if target >= stride:
        return nn.MaxPool2d(target // stride) if target > stride else nn.Identity()
    widths = [max(channels >> power, 8) for power in range((stride // target).bit_length())]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Conv2d(inputs, 4 * outputs, 1), nn.PixelShuffle(2), LayerNorm2d(outputs), nn.GELU()]
    return nn.Sequential(*layers[:-2])
