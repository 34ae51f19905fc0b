"""RegSeg (Gao 2021, "Rethink dilated convolution for real-time semantic segmentation"): RegNet blocks whose groups see at two dilations."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.networks.blocks import Block, resize
from edgekd.models.networks.whole import WholeNetwork

GROUP = 16
DILATIONS = (1, 2, 4, 4, 4, 4, 14, 14, 14, 14, 14, 14, 14)
"""Of the second half of the channels in stage 16, after its first block; 1 = no split."""


class Excitation(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, width, 1), nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.conv2(F.relu(self.conv1(x.mean((2, 3), keepdim=True)))))


class SplitConvolution(nn.Module):
    """A grouped 3×3 convolution whose halves have dilations of their own."""

    def __init__(self, channels: int, dilations: tuple[int, int]) -> None:
        super().__init__()
        half = channels // 2
        self.convs = nn.ModuleList(
            nn.Conv2d(half, half, 3, padding=dilation, dilation=dilation, groups=half // GROUP, bias=False) for dilation in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([convolution(half) for convolution, half in zip(self.convs, x.chunk(2, 1), strict=True)], 1)


class Shortcut(nn.Module):
    """1×1 after 2×2 averages where the stride is 2; sides that are odd keep their last row as it is."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv, self.bn = nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            if x.shape[-2] % 2 or x.shape[-1] % 2:
                x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2), mode="replicate")
            x = F.avg_pool2d(x, 2)
        return self.bn(self.conv(x))


class DBlock(nn.Module):
    """1×1, grouped 3×3 at one or two dilations, excitation, 1×1, and the sum with the shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        whole = nn.Conv2d(outputs, outputs, 3, stride, 1, groups=outputs // GROUP, bias=False)
        self.conv2 = whole if dilation == 1 else SplitConvolution(outputs, (1, dilation))
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv3, self.bn3 = nn.Conv2d(outputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.se = Excitation(outputs, inputs // 4)
        self.shortcut = Shortcut(inputs, outputs, stride) if stride != 1 or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        y = self.bn3(self.conv3(self.se(y)))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Body(nn.Module):
    """Stages of stride 4, 8 and 16."""

    def __init__(self) -> None:
        super().__init__()
        self.stage4 = DBlock(32, 48, 2)
        self.stage8 = nn.Sequential(DBlock(48, 128, 2), DBlock(128, 128), DBlock(128, 128))
        dilated = [DBlock(256, 256, dilation=dilation) for dilation in DILATIONS[:-1]]
        self.stage16 = nn.Sequential(DBlock(128, 256, 2), *dilated, DBlock(256, 320, dilation=DILATIONS[-1]))


class Trunk(nn.Module):
    """Stem and body."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.stem = Block(in_channels, 32, 3, 2)
        self.body = Body()

    def forward(self, image: Tensor) -> list[list[Tensor]]:
        x4 = self.body.stage4(self.stem(image))
        x8 = self.body.stage8(x4)
        return [[x4, x8, self.body.stage16(x8)]]


class Decoder(nn.Module):
    """From stride 16 to 8 by addition, to 4 beside 8 channels of the finest level."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.head16, self.head8, self.head4 = Block(320, 128, 1), Block(128, 128, 1), Block(48, 8, 1)
        self.conv8, self.conv4 = Block(128, 64), Block(64 + 8, width)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x4, x8, x16 = self.head4(maps[0]), self.head8(maps[1]), self.head16(maps[2])
        x8 = self.conv8(x8 + resize(x16, x8))
        return self.conv4(torch.cat([resize(x8, x4), x4], 1))


class RegSeg(WholeNetwork):
    """The published network (``exp48_decoder26``); it has no heads for training."""

    width, stride, multiple = 64, 4, 16
    normalises_a_pixel = False
    keys = {"decoder.classifier.": "classifier.", "decoder.": "head."}

    def build(self, width: int) -> None:
        self.trunk = Trunk(self.in_channels)
        self.head = Decoder(width)
        self.classifier = nn.Conv2d(width, self.num_classes, 1)
        self.training_only = nn.ModuleDict()
