"""Atrous spatial pyramid pooling head (DeepLabV3, Chen et al. 2017)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.models.heads.base import Head, Levels, conv_bn_relu

RATES_AT_STRIDE_8 = (12, 24, 36)


class DeepLabV3Head(Head):
    """1×1, three atrous 3×3 and image pooling branches, joined 1×1, then a 3×3 block. Rates 12, 24, 36 at stride 8, halved at 16."""

    title = "atrous spatial pyramid pooling"
    pools_globally = True

    def __init__(self, levels: Levels, width: int) -> None:
        super().__init__(levels, width)
        channels = levels.channels[-1]
        self.out_channels, self.stride = width, levels.strides[-1]
        rates = [max(1, rate * 8 // self.stride) for rate in RATES_AT_STRIDE_8]
        self.branches = nn.ModuleList([conv_bn_relu(channels, width, 1), *(conv_bn_relu(channels, width, 3, rate) for rate in rates)])
        self.image_pooling = conv_bn_relu(channels, width, 1)
        self.join = conv_bn_relu((len(rates) + 2) * width, width, 1)
        self.block = conv_bn_relu(width, width, 3)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        x = levels[-1]
        pooled = self.image_pooling(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        return self.block(self.join(torch.cat([*(branch(x) for branch in self.branches), pooled], 1)))
