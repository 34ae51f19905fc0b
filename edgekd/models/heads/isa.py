"""Interlaced sparse self-attention (ISANet, Huang et al. 2019)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.heads.attention import Attention
from edgekd.models.heads.base import Head, Levels, conv_bn_relu

CELL = 8


class ISAHead(Head):
    """Self-attention in two sparse steps: among pixels at the same place of their 8×8 cells, then among the pixels of a cell.

    The map is padded with zeros to whole cells, half on each side.
    """

    title = "interlaced sparse self-attention"

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        self.out_channels, self.stride = width, levels.strides[-1]
        self.block = conv_bn_relu(levels.channels[-1], width, 3)
        self.far, self.near = SelfAttention(width), SelfAttention(width)
        self.join = conv_bn_relu(2 * width, width, 1)

    @classmethod
    def default_width(cls, levels: Levels) -> int:
        return 512

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        x = self.block(levels[-1])
        height, width = x.shape[-2:]
        rows, columns = -(-height // CELL), -(-width // CELL)
        below, right = rows * CELL - height, columns * CELL - width
        top, left = below // 2, right // 2
        cells = F.pad(x, (left, right - left, top, below - top)).unflatten(3, (columns, CELL)).unflatten(2, (rows, CELL))
        # B×A×rows×8×columns×8 → a group a place in the cell → a group a cell → back
        far = self.far(cells.permute(0, 3, 5, 1, 2, 4).flatten(0, 2)).unflatten(0, (-1, CELL, CELL))
        near = self.near(far.permute(0, 4, 5, 3, 1, 2).flatten(0, 2)).unflatten(0, (-1, rows, columns))
        whole = near.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
        return self.join(torch.cat([whole[..., top : top + height, left : left + width], x], 1))


class SelfAttention(nn.Module):
    """Attention of a map to itself, then a 1×1 block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = Attention(channels, channels // 2, nn.Conv2d(channels, channels, 1))
        self.project = conv_bn_relu(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(self.attention(x, x))
