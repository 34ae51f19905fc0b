"""Atrous spatial pyramid pooling head (DeepLabV3, Chen et al. 2017)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.models.heads.base import Head, Levels, conv_bn_relu

RATES_AT_STRIDE_8 = (12, 24, 36)


class AtrousPyramid(Head):
    """1×1, three atrous and image pooling branches side by side: 5·width channels. Rates 12, 24, 36 at stride 8, halved at 16."""

    pools_globally = True

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        channels = levels.channels[-1]
        self.out_channels, self.stride = width, levels.strides[-1]
        rates = [max(1, rate * 8 // self.stride) for rate in RATES_AT_STRIDE_8]
        self.branches = nn.ModuleList([conv_bn_relu(channels, width, 1), *(self.atrous(channels, width, rate) for rate in rates)])
        self.image_pooling = conv_bn_relu(channels, width, 1)

    @staticmethod
    def atrous(inputs: int, outputs: int, rate: int) -> nn.Sequential:
        """A branch."""
        return conv_bn_relu(inputs, outputs, 3, dilation=rate)

    join: nn.Sequential

    def drop_behind_projection(self, share: float) -> None:
        self.join.append(nn.Dropout(share))

    def gather(self, x: Tensor) -> Tensor:
        """The last level → B×5·width×h×w."""
        pooled = self.image_pooling(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return torch.cat([*(branch(x) for branch in self.branches), pooled], 1)


class DeepLabV3Head(AtrousPyramid):
    """The pyramid, joined 1×1, then a 3×3 block."""

    title = "atrous spatial pyramid pooling"

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        self.join = conv_bn_relu(5 * width, width, 1)
        self.block = conv_bn_relu(width, width, 3)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        return self.block(self.join(self.gather(levels[-1])))
