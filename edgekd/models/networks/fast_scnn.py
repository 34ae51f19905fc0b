"""Fast-SCNN (Poudel et al. 2019): a shared stem of three strided layers, a context branch of inverted residuals, and one fusion."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.heads.base import average_bins, conv_bn_relu, upsample
from edgekd.models.networks.blocks import conv_bn
from edgekd.models.networks.whole import WholeNetwork

BINS = (1, 2, 3, 6)
EXPANSION = 6


def separable(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Depth-wise 3×3 and 1×1, each with batch norm and ReLU."""
    return nn.Sequential(
        *conv_bn(inputs, inputs, 3, stride, groups=inputs), nn.ReLU(inplace=True), *conv_bn(inputs, outputs, 1), nn.ReLU(inplace=True)
    )


class InvertedResidual(nn.Module):
    """MobileNetV2's block: 1×1 expansion by 6, depth-wise 3×3, linear 1×1."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = EXPANSION * inputs
        self.block = nn.Sequential(
            *conv_bn(inputs, wide, 1),
            nn.ReLU(inplace=True),
            *conv_bn(wide, wide, 3, stride, groups=wide),
            nn.ReLU(inplace=True),
            *conv_bn(wide, outputs, 1),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.adds else self.block(x)


def bottlenecks(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Three of them, the first with the stride."""
    return nn.Sequential(InvertedResidual(inputs, outputs, stride), *(InvertedResidual(outputs, outputs, 1) for _ in range(2)))


class PyramidPooling(nn.Module):
    """The map beside its averages over 1, 2², 3² and 6² bins, joined 1×1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(conv_bn_relu(channels, channels // len(BINS), 1) for _ in BINS)
        self.out = conv_bn_relu(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        size = (x.shape[-2], x.shape[-1])
        pooled = [upsample(branch(average_bins(x, bins)), size) for bins, branch in zip(BINS, self.branches, strict=True)]
        return self.out(torch.cat([x, *pooled], 1))


class Fusion(nn.Module):
    """The context, resized, depth-wise and 1×1, added to the stem's map, 1×1."""

    def __init__(self) -> None:
        super().__init__()
        self.dwconv = conv_bn_relu(128, 128, 3, groups=128)
        self.conv_lower_res = nn.Sequential(nn.Conv2d(128, 128, 1), nn.BatchNorm2d(128))
        self.conv_higher_res = nn.Sequential(nn.Conv2d(64, 128, 1), nn.BatchNorm2d(128))

    def forward(self, fine: Tensor, context: Tensor) -> Tensor:
        context = self.dwconv(upsample(context, (fine.shape[-2], fine.shape[-1])))
        return F.relu(self.conv_higher_res(fine) + self.conv_lower_res(context))


class Trunk(nn.Module):
    """Stem to stride 8, context to stride 32, fused at stride 8."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.learning_to_downsample = nn.Sequential(
            nn.Sequential(*conv_bn(in_channels, 32, 3, 2), nn.ReLU(inplace=True)), separable(32, 48, 2), separable(48, 64, 2)
        )
        self.global_feature_extractor = nn.Sequential(
            bottlenecks(64, 64, 2), bottlenecks(64, 96, 2), bottlenecks(96, 128, 1), PyramidPooling(128)
        )
        self.feature_fusion = Fusion()

    def forward(self, image: Tensor) -> list[Tensor]:
        """The fused map; the stem's."""
        fine = self.learning_to_downsample(image)
        return [self.feature_fusion(fine, self.global_feature_extractor(fine)), fine]


class FastSCNN(WholeNetwork):
    """The published network; its head for training reads the stem. Public files differ in names, so they load by order."""

    width = 128
    taps = {"auxiliary": 1}
    keys = {"classifier.conv.1.": "classifier.", "classifier.": "head.", "auxlayer.": "training_only.auxiliary."}

    def build(self, width: int) -> None:
        self.trunk = Trunk(self.in_channels)
        self.head = nn.Sequential(separable(128, width), separable(width, width))
        self.classifier = nn.Conv2d(width, self.num_classes, 1)
        auxiliary = nn.Sequential(*conv_bn_relu(64, 32, 3), nn.Dropout(0.1), nn.Conv2d(32, self.num_classes, 1))
        self.training_only = nn.ModuleDict({"auxiliary": auxiliary})
