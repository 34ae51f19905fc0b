"""Pyramid pooling head (PSPNet, Zhao et al. 2017)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.models.heads.base import Head, Levels, average_bins, conv_bn_relu, upsample

BINS = (1, 2, 3, 6)


class PSPHead(Head):
    """The last stage beside its averages over 1, 2², 3² and 6² bins, joined by a 3×3 block."""

    title = "pyramid pooling, bins 1 2 3 6"
    pools_globally = True

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        channels = levels.channels[-1]
        self.out_channels, self.stride = width, levels.strides[-1]
        self.branches = nn.ModuleList(conv_bn_relu(channels, max(8, channels // len(BINS)), 1) for _ in BINS)
        self.join = conv_bn_relu(channels + len(BINS) * max(8, channels // len(BINS)), width, 3)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        x = levels[-1]
        size = (x.shape[-2], x.shape[-1])
        pooled = [upsample(branch(average_bins(x, bins)), size) for bins, branch in zip(BINS, self.branches, strict=True)]
        return self.join(torch.cat([x, *pooled], 1))
