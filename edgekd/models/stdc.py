"""STDC1 and STDC2 (Fan et al. 2021, "Rethinking BiSeNet"), registered with timm. Keys are those of the published ImageNet files."""

from collections import OrderedDict
from typing import Any

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import Tensor, nn

WIDTHS = (32, 64, 256, 512, 1024)
default_cfgs = generate_default_cfgs({"stdc1": {}, "stdc2": {}})


class STDC(nn.Module):
    """Two strided blocks, then three stages of short-term dense concatenation, the first of each with stride 2.

    Args:
        depths: Modules in the stages of stride 8, 16, 32.
        in_chans: Image channels.
    """

    def __init__(self, depths: tuple[int, int, int], in_chans: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [block(in_chans, WIDTHS[0], 3, 2), block(WIDTHS[0], WIDTHS[1], 3, 2)]
        ends = [0, 1]
        for inputs, outputs, depth in zip(WIDTHS[1:], WIDTHS[2:], depths, strict=False):
            layers += [ShortTermDense(inputs if index == 0 else outputs, outputs, 2 if index == 0 else 1) for index in range(depth)]
            ends.append(len(layers) - 1)
        self.features = nn.Sequential(*layers)
        self.feature_info = [
            {"num_chs": channels, "reduction": 2 << index, "module": f"features.{end}"}
            for index, (channels, end) in enumerate(zip(WIDTHS, ends, strict=True))
        ]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, image: Tensor) -> Tensor:
        return self.features(image)


class ShortTermDense(nn.Module):
    """Blocks of 1/2, 1/4, 1/8 and 1/8 of the channels in a row, all of them concatenated; the stride sits after the first."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        shapes = ((inputs, half, 1), (half, half // 2, 3), (half // 2, half // 4, 3), (half // 4, half // 4, 3))
        self.conv_list = nn.ModuleList(block(*shape) for shape in shapes)
        self.avd_layer = depthwise(half) if stride == 2 else nn.Identity()
        self.skip = nn.AvgPool2d(3, 2, 1) if stride == 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv_list[0](x)
        x, maps = self.avd_layer(first), [self.skip(first)]
        for convolution in self.conv_list[1:]:
            x = convolution(x)
            maps.append(x)
        return torch.cat(maps, 1)


def block(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(OrderedDict(conv=convolution, bn=nn.BatchNorm2d(outputs), relu=nn.ReLU(inplace=True)))


def depthwise(channels: int) -> nn.Sequential:
    """Depth-wise 3×3 convolution of stride 2, batch norm."""
    return nn.Sequential(nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, bias=False), nn.BatchNorm2d(channels))


def _create(name: str, depths: tuple[int, int, int], pretrained: bool, options: dict[str, Any]) -> nn.Module:
    # the published files hold the classifier too, and every stage a second time
    return build_model_with_cfg(
        STDC,
        name,
        pretrained,
        feature_cfg={"flatten_sequential": True},
        pretrained_strict=False,
        kwargs_filter=("num_classes", "global_pool"),
        depths=depths,
        **options,
    )


def stdc1(pretrained: bool = False, **options: Any) -> nn.Module:
    """STDC1, 813 M multiply-adds with its classifier at 224×224."""
    return _create("stdc1", (2, 2, 2), pretrained, options)


def stdc2(pretrained: bool = False, **options: Any) -> nn.Module:
    """STDC2, 1446 M multiply-adds."""
    return _create("stdc2", (4, 5, 3), pretrained, options)


for entry in (stdc1, stdc2):
    register_model(entry)
