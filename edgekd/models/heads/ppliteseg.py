"""PP-LiteSeg's decoder (Peng et al. 2022): simple pyramid pooling, then attention fusions that grow narrower towards stride 8."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.models.heads.base import Head, Levels, average_bins, conv_bn_relu, upsample

BINS = (1, 2, 4)
CONTEXT = 128


class PPLiteSegHead(Head):
    """Strides 32, 16 and 8 with 128, width + 32 and width channels; the T form has a width of 32, the B form of 64."""

    title = "pyramid pooling, attention fusions from stride 32 to 8"
    default_stride = 32
    pools_globally = True

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        self.out_channels, self.stride = width, levels.strides[-3]
        self.pools = nn.ModuleList(conv_bn_relu(levels.channels[-1], CONTEXT, 1) for _ in BINS)
        self.context = conv_bn_relu(CONTEXT, CONTEXT, 3)
        widths = (CONTEXT, CONTEXT, width + 32, width)
        self.fusions = nn.ModuleList(
            Fusion(level, coarse, fine) for level, coarse, fine in zip(reversed(levels.channels[-3:]), widths, widths[1:], strict=False)
        )
        self.block = conv_bn_relu(width, width, 3)

    @classmethod
    def default_width(cls, levels: Levels) -> int:
        return 32

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        coarsest = levels[-1]
        size = (coarsest.shape[-2], coarsest.shape[-1])
        pooled = [upsample(pool(average_bins(coarsest, bins)), size) for bins, pool in zip(BINS, self.pools, strict=True)]
        x = self.context(sum(pooled[1:], pooled[0]))
        for level, fusion in zip(reversed(levels[-3:]), self.fusions, strict=True):
            x = fusion(level, x)
        return self.block(x)


class Fusion(nn.Module):
    """UAFM with spatial attention: each pixel mixes the two maps by a share read from the means and maxima over their channels."""

    def __init__(self, level: int, coarse: int, outputs: int) -> None:
        super().__init__()
        self.project = conv_bn_relu(level, coarse, 3)
        self.attention = nn.Sequential(conv_bn_relu(4, 2, 3), nn.Conv2d(2, 1, 3, padding=1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid())
        self.block = conv_bn_relu(coarse, outputs, 3)

    def forward(self, level: Tensor, coarse: Tensor) -> Tensor:
        x = self.project(level)
        y = upsample(coarse, (x.shape[-2], x.shape[-1]))
        seen = [reduced for each in (x, y) for reduced in (each.mean(1, keepdim=True), each.amax(1, keepdim=True))]
        share = self.attention(torch.cat(seen, 1))
        return self.block(x * share + y * (1 - share))
