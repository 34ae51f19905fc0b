"""BiSeNetV2 (Yu et al. 2021): a wide and shallow detail branch, a narrow and deep semantic one, each gated by the other."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.networks.blocks import Block, conv_bn
from edgekd.models.networks.whole import WholeNetwork

EXPANSION = 6


def detail_branch(in_channels: int) -> nn.ModuleDict:
    """Three strided stages of 64, 64 and 128 channels."""
    shapes = {"S1": (in_channels, 64, 2), "S2": (64, 64, 3), "S3": (64, 128, 3)}
    return nn.ModuleDict(
        {
            name: nn.Sequential(*(Block(inputs if index == 0 else width, width, 3, 2 if index == 0 else 1) for index in range(count)))
            for name, (inputs, width, count) in shapes.items()
        }
    )


class Stem(nn.Module):
    """To stride 4 by convolution and by max pooling side by side."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = Block(in_channels, 16, 3, 2)
        self.left = nn.Sequential(Block(16, 8, 1), Block(8, 16, 3, 2))
        self.right = nn.MaxPool2d(3, 2, 1)
        self.fuse = Block(32, 16)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv(image)
        return self.fuse(torch.cat([self.left(x), self.right(x)], 1))


class Gather(nn.Module):
    """Gather and expansion layer: 3×3, depth-wise expansion by 6, 1×1 projection; with stride 2 a second depth-wise one and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = EXPANSION * inputs
        self.conv1 = Block(inputs, inputs)
        self.strided = stride == 2
        if self.strided:
            self.dwconv1 = conv_bn(inputs, wide, 3, 2, groups=inputs)
            self.dwconv2 = nn.Sequential(*conv_bn(wide, wide, groups=wide), nn.ReLU(inplace=True))
        else:
            self.dwconv = nn.Sequential(*conv_bn(inputs, wide, groups=inputs), nn.ReLU(inplace=True))
        self.conv2 = conv_bn(wide, outputs, 1)
        if self.strided:
            self.shortcut = nn.Sequential(*conv_bn(inputs, inputs, 3, 2, groups=inputs), *conv_bn(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(x)
        y = self.dwconv2(self.dwconv1(y)) if self.strided else self.dwconv(y)
        return F.relu(self.conv2(y) + (self.shortcut(x) if self.strided else x))


def stage(inputs: int, outputs: int, count: int) -> nn.Sequential:
    """Gather and expansion layers, the first with stride 2."""
    return nn.Sequential(Gather(inputs, outputs, 2), *(Gather(outputs, outputs, 1) for _ in range(count - 1)))


class Context(nn.Module):
    """Context embedding: the global average added everywhere, then 3×3."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(128)
        self.conv_gap, self.conv_last = Block(128, 128, 1), Block(128, 128)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_last(self.conv_gap(self.bn(x.mean((2, 3), keepdim=True))) + x)


class Aggregation(nn.Module):
    """Bilateral guided aggregation: the detail map gated by the semantic one at stride 8, and the other way round at stride 32."""

    def __init__(self) -> None:
        super().__init__()
        self.left1 = nn.Sequential(*conv_bn(128, 128, groups=128), nn.Conv2d(128, 128, 1, bias=False))
        self.left2 = nn.Sequential(*conv_bn(128, 128, 3, 2), nn.AvgPool2d(3, 2, 1))
        self.right1 = conv_bn(128, 128)
        self.right2 = nn.Sequential(*conv_bn(128, 128, groups=128), nn.Conv2d(128, 128, 1, bias=False))
        self.conv = nn.Sequential(*conv_bn(128, 128), nn.ReLU(inplace=True))

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        size = (detail.shape[-2], detail.shape[-1])
        fine = self.left1(detail) * torch.sigmoid(F.interpolate(self.right1(semantic), size))
        coarse = self.left2(detail) * torch.sigmoid(self.right2(semantic))
        return self.conv(fine + F.interpolate(coarse, size))


class Trunk(nn.Module):
    """Both branches and their aggregation."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.detail = detail_branch(in_channels)
        stages = {"S1S2": Stem(in_channels), "S3": stage(16, 32, 2), "S4": stage(32, 64, 2), "S5_4": stage(64, 128, 4), "S5_5": Context()}
        self.segment = nn.ModuleDict(stages)
        self.bga = Aggregation()

    def forward(self, image: Tensor) -> list[Tensor]:
        """The aggregated map; the semantic branch at strides 4, 8, 16 and 32."""
        detail = x = image
        for part in self.detail.values():
            detail = part(detail)
        semantic = []
        for part in self.segment.values():
            x = part(x)
            semantic.append(x)
        return [self.bga(detail, semantic[-1]), *semantic[:-1]]


class Booster(nn.Module):
    """A head for training: 3×3, resized by 2, 3×3 to the square of the map's stride, classifier."""

    def __init__(self, inputs: int, stride: int, num_classes: int) -> None:
        super().__init__()
        self.conv = Block(inputs, 128)
        self.conv_out = nn.Sequential(
            nn.Sequential(nn.Upsample(scale_factor=2), Block(128, stride**2)), nn.Conv2d(stride**2, num_classes, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_out(self.conv(x))


class BiSeNetV2(WholeNetwork):
    """The published network with its four boosters; that of stride 16 gives the auxiliary logits."""

    width = 1024
    taps = {"booster2": 1, "booster3": 2, "auxiliary": 3, "booster5": 4}
    keys = {
        "aux2.": "training_only.booster2.",
        "aux3.": "training_only.booster3.",
        "aux4.": "training_only.auxiliary.",
        "aux5_4.": "training_only.booster5.",
        "head.conv_out.1.": "classifier.",
        "head.conv.": "head.",
    }

    def build(self, width: int) -> None:
        self.trunk = Trunk(self.in_channels)
        self.head = Block(128, width)
        self.classifier = nn.Conv2d(width, self.num_classes, 1)
        shapes = {"booster2": (16, 4), "booster3": (32, 8), "auxiliary": (64, 16), "booster5": (128, 32)}
        self.training_only = nn.ModuleDict({name: Booster(inputs, stride, self.num_classes) for name, (inputs, stride) in shapes.items()})
