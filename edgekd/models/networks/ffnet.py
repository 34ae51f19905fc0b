"""FFNet-40S (Mehta et al. 2022, "Simple and efficient architectures for semantic segmentation"): a slim ResNet, a top-down head."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.networks.blocks import Residual, conv_bn
from edgekd.models.networks.whole import WholeNetwork

WIDTHS, DEPTHS, STRIDES = (64, 128, 192, 320), (4, 5, 6, 4), (2, 2, 2, 2)
ADAPTED, SMOOTHED = (64, 128, 128, 256), (96, 96, 64, 32)


class Layers(nn.Module):
    """Convolution, batch norm, ReLU, under the published name."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*conv_bn(inputs, outputs, kernel), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Backbone(nn.Module):
    """Two strided convolutions and four stages of basic blocks, to stride 64."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv0, self.bn0 = nn.Conv2d(in_channels, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32)
        self.conv1, self.bn1 = nn.Conv2d(32, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for index, (width, depth, stride) in enumerate(zip(WIDTHS, DEPTHS, STRIDES, strict=True), 1):
            blocks = [Residual(inputs, width, stride), *(Residual(width, width) for _ in range(depth - 1))]
            self.add_module(f"layer{index}", nn.Sequential(*blocks))
            inputs = width

    def forward(self, image: Tensor) -> list[Tensor]:
        x = F.relu(self.bn1(self.conv1(F.relu(self.bn0(self.conv0(image))))))
        maps = []
        for index in range(1, len(WIDTHS) + 1):
            x = self.get_submodule(f"layer{index}")(x)
            maps.append(x)
        return maps


class Adapter(nn.Module):
    """Every level 1×1 to the head's widths."""

    def __init__(self) -> None:
        super().__init__()
        self.adapter_conv = nn.ModuleList(Layers(inputs, outputs, 1) for inputs, outputs in zip(WIDTHS, ADAPTED, strict=True))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        return [adapt(x) for adapt, x in zip(self.adapter_conv, maps, strict=True)]


class TopDown(nn.Module):
    """From the coarsest level to the finest by nearest neighbours; each smoothed 3×3, all beside each other at the finest's size."""

    def __init__(self) -> None:
        super().__init__()
        names = ("4", "8", "16", "32")  # the published names are those of the form at half the stride
        for name, inputs, outputs, finer in list(zip(names, ADAPTED, SMOOTHED, (0, *ADAPTED), strict=False))[::-1]:
            if not finer:
                self.fam_4 = Layers(inputs, outputs, 3)
                continue
            self.add_module(f"fam_{name}_sm", Layers(inputs, outputs, 3))
            self.add_module(f"fam_{name}_up", Layers(inputs, finer, 1))

    def forward(self, maps: list[Tensor]) -> Tensor:
        x, smoothed = maps[-1], []
        for name, finer in zip(("32", "16", "8"), reversed(maps[:-1]), strict=True):
            smoothed.append(self.get_submodule(f"fam_{name}_sm")(x))
            x = finer + F.interpolate(self.get_submodule(f"fam_{name}_up")(x), finer.shape[-2:])
        finest = self.fam_4(x)
        return torch.cat([finest, *(F.interpolate(each, finest.shape[-2:]) for each in reversed(smoothed))], 1)


class Trunk(nn.Module):
    """Backbone and top-down head."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.backbone_model = Backbone(in_channels)
        self.up = nn.Sequential(Adapter(), TopDown())

    def forward(self, image: Tensor) -> list[Tensor]:
        return [self.up(self.backbone_model(image))]


class FFNet40S(WholeNetwork):
    """The form for a 1024×2048 image of the public code (``ffnet40S_dBBB_mobile``). Its last layer is a 3×3 convolution."""

    width, multiple = 256, 64
    normalises_a_pixel = False
    keys = {
        "head.layers.0.": "trunk.up.0.",
        "head.layers.1.": "trunk.up.1.",
        "head.layers.3.last_layer.3.": "final.",
        "head.layers.3.last_layer.": "head.",
    }

    def build(self, width: int) -> None:
        self.trunk, self.classifier = Trunk(self.in_channels), None
        self.head = nn.Sequential(nn.Conv2d(sum(SMOOTHED), width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.final = nn.Conv2d(width, self.num_classes, 3, padding=1)
        self.training_only = nn.ModuleDict()

    @property
    def feature_channels(self) -> int:
        return self.final.in_channels

    def classify(self, features: Tensor) -> Tensor:
        return self.final(features)
