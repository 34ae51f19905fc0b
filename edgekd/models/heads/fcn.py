"""FCN head (Long et al. 2015) as the distillation papers use it: one block on the last stage."""

from collections.abc import Sequence

from torch import Tensor, nn

from edgekd.models.heads.base import Head, Levels, conv_bn_relu


class FCNHead(Head):
    """Convolution, batch norm, ReLU on one level: 3×3, or 1×1 on all branches of a parallel backbone (HRNetV2, Sun et al. 2019).

    Args:
        levels: Of the backbone.
        width: Output channels.
        num_classes: Not needed.
        level: Which level it reads; −1 = last, −2 = stage 3 for the auxiliary head.
    """

    title = "3x3 block on the last stage; HRNet: 1x1 on all branches"

    def __init__(self, levels: Levels, width: int, num_classes: int, level: int = -1) -> None:
        super().__init__(levels, width, num_classes)
        self._levels, self._level = levels, level
        self.out_channels, self.stride = width, levels.stride(level)
        self.block = conv_bn_relu(levels.width(level), width, 1 if levels.parallel else 3)

    @classmethod
    def default_width(cls, levels: Levels) -> int:
        return levels.width(-1) if levels.parallel else super().default_width(levels)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        return self.block(self._levels.read(levels, self._level))


class AuxiliaryHead(nn.Module):
    """FCN head on stage 3, with its classifier."""

    def __init__(self, levels: Levels, width: int, num_classes: int, dropout: nn.Module | None = None) -> None:
        super().__init__()
        self.head = FCNHead(levels, width, num_classes, level=-2)
        self.dropout, self.classifier = dropout or nn.Identity(), nn.Conv2d(width, num_classes, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Backbone levels → logits."""
        return self.classifier(self.dropout(self.head(levels)))
