"""FCN head (Long et al. 2015) as the distillation papers use it: one 3×3 block on the last stage."""

from collections.abc import Sequence

from torch import Tensor

from edgekd.models.heads.base import Head, Levels, conv_bn_relu


class FCNHead(Head):
    """3×3 convolution, batch norm, ReLU on one level.

    Args:
        levels: Of the backbone.
        width: Output channels.
        level: Which level it reads; −1 = last, −2 = stage 3 for the auxiliary head.
    """

    title = "3x3 block on the last stage"

    def __init__(self, levels: Levels, width: int, level: int = -1) -> None:
        super().__init__(levels, width)
        self._level = level
        self.out_channels, self.stride = width, levels.strides[level]
        self.block = conv_bn_relu(levels.channels[level], width, 3)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        return self.block(levels[self._level])
