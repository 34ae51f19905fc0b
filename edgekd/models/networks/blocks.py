"""Parts that the whole networks share. Attributes are named as in the published files, which is how these load by key."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

POOLS = ((5, 2), (9, 4), (17, 8))
"""Kernel and stride of the three local poolings of `ContextPyramid`."""


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution of size ⌈size / stride⌉, batch norm."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, dilation * (kernel // 2), dilation, groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear, corners not aligned, to another map's size: as these networks were trained."""
    size = (like.shape[-2], like.shape[-1])
    return x if x.shape[-2:] == like.shape[-2:] else F.interpolate(x, size, mode="bilinear", align_corners=False)


class Residual(nn.Module):
    """Basic block, or bottleneck of twice the width at its end; without the last ReLU where the sum is read as it is."""

    def __init__(self, inputs: int, width: int, stride: int = 1, *, bottleneck: bool = False, relu: bool = True) -> None:
        super().__init__()
        outputs = 2 * width if bottleneck else width
        first = 1 if bottleneck else 3
        self.conv1 = nn.Conv2d(inputs, width, first, 1 if bottleneck else stride, first // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride if bottleneck else 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        if bottleneck:
            self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = conv_bn(inputs, outputs, 1, stride) if stride != 1 or inputs != outputs else None
        self.bottleneck, self.relu = bottleneck, relu

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.bottleneck:
            y = self.bn3(self.conv3(F.relu(y)))
        y = y + (x if self.downsample is None else self.downsample(x))
        return F.relu(y) if self.relu else y


def layer(inputs: int, width: int, count: int, stride: int = 1, *, bottleneck: bool = False) -> nn.Sequential:
    """Residual blocks, as DDRNet and PIDNet stack them: no ReLU after the last of several, nor after a first bottleneck."""
    blocks = [Residual(inputs, width, stride, bottleneck=bottleneck, relu=not bottleneck)]
    outputs = 2 * width if bottleneck else width
    blocks += [Residual(outputs, width, bottleneck=bottleneck, relu=index < count - 1) for index in range(1, count)]
    return nn.Sequential(*blocks)


def stem(in_channels: int, width: int) -> nn.Sequential:
    """Two strided 3×3 convolutions with biases, batch norm, ReLU."""
    layers: list[nn.Module] = []
    for inputs in (in_channels, width):
        layers += [nn.Conv2d(inputs, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Mean(nn.Module):
    """Global average, B×A×1×1."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


def preactivated(inputs: int, outputs: int, kernel: int = 1, groups: int = 1, pool: nn.Module | None = None) -> nn.Sequential:
    """(Pooling,) batch norm, ReLU, convolution."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    layers = [nn.BatchNorm2d(inputs), nn.ReLU(inplace=pool is not None), convolution]
    return nn.Sequential(*([pool] if pool else []), *layers)


class ContextPyramid(nn.Module):
    """DDRNet's deep aggregation pyramid pooling, or PIDNet's parallel form of it.

    Poolings of three sizes and the global one, each reduced 1×1 and resized. In DDRNet every scale is smoothed with the one before it, one
    after the other; in PIDNet all of them by one grouped convolution.

    Args:
        inputs: Channels.
        width: Of a scale.
        outputs: Channels.
        parallel: PIDNet's form.
    """

    def __init__(self, inputs: int, width: int, outputs: int, *, parallel: bool) -> None:
        super().__init__()
        pools = [*(nn.AvgPool2d(kernel, stride, kernel // 2) for kernel, stride in POOLS), Mean()]
        for index, pool in enumerate(pools, 1):
            self.add_module(f"scale{index}", preactivated(inputs, width, pool=pool))
        self.scale0 = preactivated(inputs, width)
        self.parallel, self.scales = parallel, len(pools)
        if parallel:
            self.scale_process = preactivated(self.scales * width, self.scales * width, 3, groups=self.scales)
        else:
            for index in range(1, self.scales + 1):
                self.add_module(f"process{index}", preactivated(width, width, 3))
        self.compression = preactivated((self.scales + 1) * width, outputs)
        self.shortcut = preactivated(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.scale0(x)]
        scales = [resize(self.get_submodule(f"scale{index}")(x), x) for index in range(1, self.scales + 1)]
        if self.parallel:
            maps.append(self.scale_process(torch.cat([scale + maps[0] for scale in scales], 1)))
        else:
            for index, scale in enumerate(scales, 1):
                maps.append(self.get_submodule(f"process{index}")(scale + maps[-1]))
        return self.compression(torch.cat(maps, 1)) + self.shortcut(x)


class PreactivatedHead(nn.Module):
    """Batch norm, ReLU, 3×3 convolution, batch norm, ReLU; then, in a training-only head, its own 1×1 classifier."""

    def __init__(self, inputs: int, width: int, outputs: int | None = None) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, outputs, 1) if outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.bn2(self.conv1(F.relu(self.bn1(x))))))


class Block(nn.Module):
    """Convolution, batch norm, ReLU under the names that several public codes use."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))
