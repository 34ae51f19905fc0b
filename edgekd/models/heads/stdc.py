"""STDC-Seg's head: a context path on the last three levels (Fan et al. 2021; BiSeNet, Yu et al. 2018)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.models.heads.base import Head, Levels, conv_bn_relu, upsample


class STDCHead(Head):
    """From the global average through strides 32 and 16 to 8, where the context is fused with the backbone's own level."""

    title = "context path from stride 32 to 8, fused"
    default_stride = 32
    pools_globally = True

    def __init__(self, levels: Levels, width: int, num_classes: int) -> None:
        super().__init__(levels, width, num_classes)
        low, middle, high = levels.channels[-3:]
        context = width // 2
        self.out_channels, self.stride = width, levels.strides[-3]
        self.average = conv_bn_relu(high, context, 1)
        self.refine = nn.ModuleList(Refinement(channels, context) for channels in (high, middle))
        self.smooth = nn.ModuleList(conv_bn_relu(context, context, 3) for _ in range(2))
        self.fusion = Fusion(low + context, width)
        self.block = conv_bn_relu(width, width, 3)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        low, middle, high = levels[-3:]
        context = self.average(high.mean((2, 3), keepdim=True))
        for x, finer, refine, smooth in zip((high, middle), (middle, low), self.refine, self.smooth, strict=True):
            context = smooth(upsample(refine(x) + context, (finer.shape[-2], finer.shape[-1])))
        return self.block(self.fusion(torch.cat([low, context], 1)))


class Refinement(nn.Module):
    """Attention refinement: a 3×3 block, gated by its own average."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = conv_bn_relu(inputs, outputs, 3)
        self.gate = nn.Sequential(nn.Conv2d(outputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        return x * self.gate(x.mean((2, 3), keepdim=True))


class Fusion(nn.Module):
    """Feature fusion: a 1×1 block, plus itself gated by its own average."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = conv_bn_relu(inputs, outputs, 1)
        self.gate = nn.Sequential(
            nn.Conv2d(outputs, outputs // 4, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs // 4, outputs, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        return x + x * self.gate(x.mean((2, 3), keepdim=True))
