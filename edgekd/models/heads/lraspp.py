"""Lite R-ASPP head (MobileNetV3, Howard et al. 2019)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.models.heads.base import Head, Levels, conv_bn_relu, upsample


class LRASPPHead(Head):
    """The last stage, gated by its own average, beside the stride-8 level.

    The paper adds two classifiers, one on each; that is one 1×1 classifier on both concatenated, so the concatenation is the feature.
    """

    title = "gated last stage beside the stride-8 level"
    default_stride = 16

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        self._low = levels.at_stride(8)
        self.out_channels, self.stride = width + levels.channels[self._low], levels.strides[self._low]
        self.block = conv_bn_relu(levels.channels[-1], width, 1)
        self.gate = nn.Sequential(nn.Conv2d(levels.channels[-1], width, 1, bias=False), nn.Sigmoid())

    @classmethod
    def default_width(cls, levels: Levels) -> int:
        return 128

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        low, high = levels[self._low], levels[-1]
        gated = self.block(high) * self.gate(high.mean((2, 3), keepdim=True))
        return torch.cat([upsample(gated, (low.shape[-2], low.shape[-1])), low], 1)
