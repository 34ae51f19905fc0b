"""SegFormer's all-MLP head (Xie et al. 2021)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.models.heads.base import Head, Levels, upsample


class SegFormerHead(Head):
    """Every level from stride 4 on projected to one width, resized to the finest, joined by a 1×1 convolution, batch norm, ReLU.

    A 1×1 convolution and a bilinear resize commute, so each level is joined at its own size and the results are added: the same function
    as joining the concatenation, at a third of its multiply-adds. As deployed, a level's projection and its part of the join are one.
    """

    title = "all-MLP: every level projected and joined at stride 4"
    default_stride = 32

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        self._finest = levels.at_stride(4)
        self.out_channels, self.stride = width, levels.strides[self._finest]
        channels = levels.channels[self._finest :]
        self.project = nn.ModuleList(nn.Conv2d(inputs, width, 1) for inputs in channels)
        self.join = nn.ModuleList(nn.Conv2d(width, width, 1, bias=False) for _ in channels)
        self.norm = nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        used = levels[self._finest :]
        size = (used[0].shape[-2], used[0].shape[-1])
        joined = [upsample(join(project(x)), size) for x, project, join in zip(used, self.project, self.join, strict=True)]
        return self.norm(sum(joined[1:], joined[0]))

    @torch.no_grad()
    def reparameterize(self) -> None:
        """Merge each projection with its part of the join."""
        pairs: Any = zip(self.project, self.join, strict=True)
        for project, join in pairs:
            matrix = join.weight.flatten(1)
            project.weight.copy_((matrix @ project.weight.flatten(1))[..., None, None])
            project.bias.copy_(matrix @ project.bias)
        self.join = nn.ModuleList(nn.Identity() for _ in self.project)
