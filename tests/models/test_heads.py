"""Heads against torchvision's, and against the papers' formulas written out."""

import pytest
import torch
from torch import nn
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead as TorchvisionFCN
from torchvision.models.segmentation.lraspp import LRASPPHead as TorchvisionLRASPP

from edgekd.models import Segmenter
from edgekd.models.heads import HEADS, Levels
from edgekd.models.pyramid import SimplePyramid

LEVELS = Levels((16, 24, 32, 48), (4, 8, 8, 8))


def maps(levels=LEVELS, height=13, width=18, batch=2):
    generator = torch.Generator().manual_seed(0)
    sizes = [(-(-height * 8 // stride), -(-width * 8 // stride)) for stride in levels.strides]
    return [torch.randn(batch, channels, *size, generator=generator) for channels, size in zip(levels.channels, sizes, strict=True)]


def head(name, width=16, levels=LEVELS, classes=5):
    """With batch norms that are not the identity, and weights that make attention choose."""
    torch.manual_seed(0)
    module = HEADS[name](levels, width, classes).eval()
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            part.weight.data *= 3
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    return module


def load_in_order(target, source):
    """Both list their tensors from input to output."""
    keys, values = list(target.state_dict()), list(source.state_dict().values())
    target.load_state_dict(dict(zip(keys, values[: len(keys)], strict=True)))
    return values[len(keys) :]


@pytest.mark.parametrize(("name", "theirs", "width"), [("deeplabv3", DeepLabHead, 256), ("fcn", TorchvisionFCN, 12)])
def test_deeplabv3_and_fcn_are_torchvisions(name, theirs, width):
    torch.manual_seed(1)
    reference, ours = theirs(48, 5).eval(), head(name, width)
    weight, bias = load_in_order(ours, reference)
    expected = reference(maps()[-1])
    torch.testing.assert_close(nn.functional.conv2d(ours(maps()), weight, bias), expected, rtol=1e-4, atol=1e-5)


def test_lraspp_is_torchvisions():
    """Where no map is resized: torchvision doesn't align corners."""
    torch.manual_seed(1)
    reference, ours = TorchvisionLRASPP(24, 48, 5, 16).eval(), head("lraspp")
    low_weight, low_bias, high_weight, high_bias = load_in_order(ours, reference)
    expected = reference({"low": maps()[1], "high": maps()[-1]})
    given = nn.functional.conv2d(ours(maps()), torch.cat([high_weight, low_weight], 1), low_bias + high_bias)
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


def attend(attention, x, context):
    """Attention written out: x is B×A×N, context B×A×M."""
    query, key, value = (
        project(of[..., None])[..., 0] for project, of in ((attention.query, x), (attention.key, context), (attention.value, context))
    )
    weights = (query.transpose(1, 2) @ key / query.shape[1] ** 0.5).softmax(2)
    return (weights @ value.transpose(1, 2)).transpose(1, 2)


def test_ocr_describes_each_class_by_its_soft_region():
    """Yuan et al. 2020, equations 8 to 10."""
    ours, x = head("ocr"), maps()
    features, regions = ours.decode(x)
    pixels, shares = ours.pixels(x[-1]), regions.flatten(2).softmax(2)
    objects = torch.stack([(shares[:, k : k + 1] * pixels.flatten(2)).sum(2) for k in range(5)], 2)
    context = ours.context(attend(ours.attention, pixels.flatten(2), objects).reshape(2, 8, 13, 18))
    torch.testing.assert_close(features, ours.join(torch.cat([context, pixels], 1)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours(x), features)


@pytest.mark.parametrize("size", [(16, 24), (13, 18)])
def test_isa_attends_among_distant_pixels_then_among_neighbours(size):
    """Huang et al. 2019, written as loops over the groups; 13×18 is padded to 16×24, half on each side."""
    ours, x = head("isa"), maps(height=size[0], width=size[1])
    top, left = (16 - size[0]) // 2, (24 - size[1]) // 2
    start = ours.block(x[-1])
    whole = torch.zeros(2, 16, 16, 24)
    whole[:, :, top : top + size[0], left : left + size[1]] = start

    def relate(part, group):
        attended = attend(part.attention, group.flatten(2), group.flatten(2)).reshape(group.shape)
        return part.project(attended)

    far = torch.empty_like(whole)
    for row in range(8):
        for column in range(8):
            far[:, :, row::8, column::8] = relate(ours.far, whole[:, :, row::8, column::8])
    near = torch.empty_like(whole)
    for row in range(0, 16, 8):
        for column in range(0, 24, 8):
            cell = (slice(None), slice(None), slice(row, row + 8), slice(column, column + 8))
            near[cell] = relate(ours.near, far[cell])
    assert near.std((2, 3)).max() > 0.1 * near.abs().mean()
    cut = near[:, :, top : top + size[0], left : left + size[1]]
    torch.testing.assert_close(ours(x), ours.join(torch.cat([cut, start], 1)), rtol=1e-4, atol=1e-5)


def test_fcn_on_hrnet_reads_all_branches_at_the_finest():
    """HRNetV2 (Sun et al. 2019): bilinear to stride 4, concatenation, 1×1, classifier."""
    model = Segmenter("fcn-hrnet_w18_small_v2", 4, auxiliary=False, dropout=0.0).eval()
    assert model.backbone.levels == Levels((18, 36, 72, 144), (4, 8, 16, 32), parallel=True)
    branches = model.backbone.net(torch.ones(1, 3, 64, 96))
    together = torch.cat([nn.functional.interpolate(x, (16, 24), mode="bilinear", align_corners=True) for x in branches], 1)
    assert model.head.block[0].weight.shape == (270, 270, 1, 1) and together.shape[1] == 270
    torch.testing.assert_close(model(torch.ones(1, 3, 64, 96)).features, model.head.block(together))


def test_hrnet_takes_sizes_that_its_branches_do_not():
    """It fills up to the next multiple of 32 with the mean colour, and cuts its maps back."""
    backbone = Segmenter("fcn-hrnet_w18_small", 4).eval().backbone
    x = torch.randn(1, 3, 40, 72, generator=torch.Generator().manual_seed(0))
    filled = torch.zeros(1, 3, 64, 96)
    filled[..., :40, :72] = x
    for cut, whole, stride in zip(backbone(x), backbone.net(filled), (4, 8, 16, 32), strict=True):
        assert cut.shape[-2:] == (-(-40 // stride), -(-72 // stride))
        assert torch.equal(cut, whole[..., : cut.shape[-2], : cut.shape[-1]])


def test_fpn_adds_every_level_on_the_way_to_stride_4():
    """Lin et al. 2017, figure 3, in float64: P5 = C5's projection, P(l) = smooth(project(C(l)) + P(l+1) resized).

    A stride-2 level is not read.
    """
    levels = Levels((8, 16, 24, 48), (2, 4, 8, 16))
    ours = head("fpn", levels=levels).double()
    x = [torch.randn(2, c, -(-104 // s), -(-140 // s), dtype=torch.float64) for c, s in zip(levels.channels, levels.strides, strict=True)]

    def block(part, value):
        convolution, norm = part[0], part[1]
        value = nn.functional.conv2d(value, convolution.weight, padding=convolution.padding, groups=convolution.groups)
        scale = (norm.weight / (norm.running_var + norm.eps).sqrt())[:, None, None]
        value = scale * value + norm.bias[:, None, None] - scale * norm.running_mean[:, None, None]
        return value.clamp(min=0) if len(part) > 2 else value

    top = block(ours.lateral[0], x[3])
    for index, level in ((1, x[2]), (2, x[1])):
        finer = nn.functional.interpolate(top, level.shape[-2:], mode="bilinear", align_corners=True)
        depthwise, pointwise = ours.smooth[index - 1]
        assert depthwise[0].groups == 16
        top = block(pointwise, block(depthwise, block(ours.lateral[index], level) + finer))
    assert ours.stride == 4
    torch.testing.assert_close(ours(x), top)
    torch.testing.assert_close(ours([torch.full_like(x[0], torch.nan), *x[1:]]), top)


def test_the_pyramid_of_a_single_map():
    """Li et al. 2022: strides 4 and 8 by transposed 2×2 convolutions that halve the channels, 16 as it is, 32 by max pooling."""
    torch.manual_seed(0)
    ours, x = SimplePyramid(32, 16).double(), torch.randn(2, 32, 6, 10, dtype=torch.float64)
    assert ours.channels == (8, 16, 32, 32)
    normal = nn.functional.layer_norm(x.permute(0, 2, 3, 1), (32,), eps=1e-6).permute(0, 3, 1, 2)

    def transposed(convolution, value):
        """Output pixel (2i+a, 2j+b) of channel o is the input pixel (i, j) times row 4o+2a+b of the weights."""
        weight = convolution.weight.reshape(-1, 4, convolution.in_channels).permute(2, 0, 1).reshape(convolution.in_channels, -1, 2, 2)
        return nn.functional.conv_transpose2d(value, weight, stride=2) + convolution.bias.reshape(-1, 2, 2).repeat(
            1, value.shape[-2], value.shape[-1]
        )

    finest, fine, same, coarse = ours(x)
    torch.testing.assert_close(same, normal)
    torch.testing.assert_close(coarse, nn.functional.max_pool2d(normal, 2))
    torch.testing.assert_close(fine, transposed(ours.levels[1][0], normal))
    first, _, norm, activation, second, _ = ours.levels[0]
    torch.testing.assert_close(finest, transposed(second, activation(norm(transposed(first, normal)))))
