"""Depth-wise separable atrous pyramid with a decoder (DeepLabV3+, Chen et al. 2018), in the form of mmsegmentation's configurations."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.models.heads.base import Levels, conv_bn_relu, upsample
from edgekd.models.heads.deeplabv3 import AtrousPyramid

LOW_CHANNELS = 48


def separable(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """3×3 depth-wise block, then 1×1 block."""
    return nn.Sequential(
        conv_bn_relu(inputs, inputs, 3, dilation=dilation, groups=inputs),
        conv_bn_relu(inputs, outputs, 1),
    )


class DeepLabV3PlusHead(AtrousPyramid):
    """The pyramid, joined 3×3 and resized to the stride-4 level, which is reduced to 48 channels beside it; then two separable blocks."""

    title = "separable atrous pyramid beside the stride-4 level"

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        self._low = levels.at_stride(4)
        self.stride = levels.strides[self._low]
        self.join = conv_bn_relu(5 * width, width, 3)
        self.low = conv_bn_relu(levels.channels[self._low], LOW_CHANNELS, 1)
        self.block = nn.Sequential(separable(width + LOW_CHANNELS, width), separable(width, width))

    @staticmethod
    def atrous(inputs: int, outputs: int, rate: int) -> nn.Sequential:
        return separable(inputs, outputs, rate)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        low = self.low(levels[self._low])
        high = upsample(self.join(self.gather(levels[-1])), (low.shape[-2], low.shape[-1]))
        return self.block(torch.cat([high, low], 1))
