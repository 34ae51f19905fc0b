"""Object-contextual representations (OCRNet, Yuan et al. 2020)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from edgekd.models.heads.attention import Attention
from edgekd.models.heads.base import Head, Levels, conv_bn_relu, upsample
from edgekd.models.heads.fcn import AuxiliaryHead, FCNHead


class OCRHead(Head):
    """Every pixel looks at one representation a class: the average of the pixels in that class's soft region.

    The soft regions are the auxiliary head's logits, so that head belongs to this one and ships with it.
    """

    title = "object-contextual representations"
    finds_regions = True

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        self._levels = levels
        self.out_channels, self.stride = width, levels.stride(-1)
        self.regions = AuxiliaryHead(levels, FCNHead.default_width(levels), num_classes)
        self.pixels = conv_bn_relu(levels.width(-1), width, 3)
        self.attention = Attention(width, width // 2, conv_bn_relu(width, width // 2, 1))
        self.context = conv_bn_relu(width // 2, width, 1)
        self.join = conv_bn_relu(2 * width, width, 1)

    @classmethod
    def default_width(cls, levels: Levels) -> int:
        return 512

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        return self.decode(levels)[0]

    def decode(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        regions = self.regions(levels)
        pixels = self.pixels(self._levels.read(levels, -1))
        shares = upsample(regions, (pixels.shape[-2], pixels.shape[-1])).flatten(2).softmax(2)
        objects = (pixels.flatten(2) @ shares.mT)[..., None]  # B×width×C×1
        context = self.context(self.attention(pixels, objects))
        return self.join(torch.cat([context, pixels], 1)), regions
