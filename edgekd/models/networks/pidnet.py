"""PIDNet-S (Xu et al. 2023, "... inspired by PID controllers"): branches for detail, context and boundaries."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.networks.blocks import ContextPyramid, PreactivatedHead, Residual, conv_bn, layer, resize, stem
from edgekd.models.networks.whole import WholeNetwork

WIDTH = 32


class PixelAttention(nn.Module):
    """Pag: the detail branch takes of the context branch as much as both agree at a pixel."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.f_x, self.f_y = conv_bn(channels, width, 1), conv_bn(channels, width, 1)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        share = torch.sigmoid((self.f_x(x) * resize(self.f_y(context), x)).sum(1, keepdim=True))
        return (1 - share) * x + share * resize(context, x)


class BoundaryFusion(nn.Module):
    """Light Bag: detail at the boundary, context inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_p, self.conv_i = conv_bn(channels, channels, 1), conv_bn(channels, channels, 1)

    def forward(self, detail: Tensor, context: Tensor, boundary: Tensor) -> Tensor:
        edge = torch.sigmoid(boundary)
        return self.conv_p((1 - edge) * context + detail) + self.conv_i(context + edge * detail)


class Trunk(nn.Module):
    """Detail (``layer3_`` …) and boundary (``layer3_d`` …) at stride 8, context (``layer3`` …) to stride 64."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        w = WIDTH
        self.conv1 = stem(in_channels, w)
        self.layer1, self.layer2 = layer(w, w, 2), layer(w, 2 * w, 2, 2)
        self.layer3, self.layer4 = layer(2 * w, 4 * w, 3, 2), layer(4 * w, 8 * w, 3, 2)
        self.layer5 = layer(8 * w, 8 * w, 2, 2, bottleneck=True)
        self.compression3, self.compression4 = conv_bn(4 * w, 2 * w, 1), conv_bn(8 * w, 2 * w, 1)
        self.pag3, self.pag4 = PixelAttention(2 * w, w), PixelAttention(2 * w, w)
        self.layer3_, self.layer4_ = layer(2 * w, 2 * w, 2), layer(2 * w, 2 * w, 2)
        self.layer5_ = layer(2 * w, 2 * w, 1, bottleneck=True)
        self.layer3_d = Residual(2 * w, w, relu=False)
        self.layer4_d = layer(w, w, 1, bottleneck=True)
        self.diff3, self.diff4 = conv_bn(4 * w, w), conv_bn(8 * w, 2 * w)
        self.spp = ContextPyramid(16 * w, 96, 4 * w, parallel=True)
        self.dfm = BoundaryFusion(4 * w)
        self.layer5_d = layer(2 * w, 2 * w, 1, bottleneck=True)

    def forward(self, image: Tensor) -> list[Tensor]:
        """All branches fused; detail after the first exchange; boundary after the second."""
        shared = F.relu(self.layer2(F.relu(self.layer1(self.conv1(image)))))
        detail, boundary, context = self.layer3_(shared), self.layer3_d(shared), F.relu(self.layer3(shared))
        guided = detail = self.pag3(detail, self.compression3(context))
        boundary = boundary + resize(self.diff3(context), boundary)
        detail, boundary, context = self.layer4_(F.relu(detail)), self.layer4_d(F.relu(boundary)), F.relu(self.layer4(context))
        detail = self.pag4(detail, self.compression4(context))
        edges = boundary = boundary + resize(self.diff4(context), boundary)
        detail, boundary = self.layer5_(F.relu(detail)), self.layer5_d(F.relu(boundary))
        context = resize(self.spp(self.layer5(context)), detail)
        return [self.dfm(detail, context, boundary), guided, edges]


class PIDNetS(WholeNetwork):
    """The published network, with its two heads for training: classes from the detail branch, boundaries from the boundary branch."""

    width, multiple = 128, 64
    taps = {"auxiliary": 1, "boundary": 2}
    keys = {
        "seghead_p.": "training_only.auxiliary.",
        "seghead_d.": "training_only.boundary.",
        "final_layer.conv2.": "classifier.",
        "final_layer.": "head.",
    }

    def build(self, width: int) -> None:
        self.trunk = Trunk(self.in_channels)
        heads = {"auxiliary": PreactivatedHead(2 * WIDTH, width, self.num_classes), "boundary": PreactivatedHead(2 * WIDTH, WIDTH, 1)}
        self.training_only = nn.ModuleDict(heads)
        self.head = PreactivatedHead(4 * WIDTH, width)
        self.classifier = nn.Conv2d(width, self.num_classes, 1)
