"""Semantic feature pyramid (Lin et al. 2017; Kirillov et al. 2019) in a light form: one top-down pass, smoothed by separable blocks."""

from collections.abc import Sequence

from torch import Tensor, nn

from edgekd.models.heads.base import Head, Levels, upsample
from edgekd.models.heads.deeplabv3plus import separable


class FPNHead(Head):
    """From the coarsest level to stride 4: resized, added to the next level's 1×1 projection, smoothed.

    Every level enters by addition and no map is wider than `width`, so stride 4 stays cheap.
    """

    title = "top-down pyramid to stride 4, separable smoothing"
    default_stride = 32

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        self._finest = levels.at_stride(4)
        self.out_channels, self.stride = width, levels.strides[self._finest]
        channels = levels.channels[self._finest :]
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)) for inputs in reversed(channels)
        )
        self.smooth = nn.ModuleList(separable(width, width) for _ in channels[1:])

    @classmethod
    def default_width(cls, levels: Levels) -> int:
        return 128

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        maps = [project(x) for project, x in zip(self.lateral, reversed(levels[self._finest :]), strict=True)]
        context = maps[0]
        for x, smooth in zip(maps[1:], self.smooth, strict=True):
            context = smooth(x + upsample(context, (x.shape[-2], x.shape[-1])))
        return context
