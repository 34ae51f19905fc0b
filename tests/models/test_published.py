"""Sizes against published ones, to 1 % or the last digit given. What a publication counts differently is written beside it."""

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import segmentation as tv

from edgekd.models import Segmenter


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(name, classes, width=None, auxiliary=False):
    with torch.device("meta"):
        return Segmenter(name, classes, head_channels=width, auxiliary=auxiliary).eval()


def multiply_adds(model, *size):
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *size))
    return counter.get_total_flops() / 2


def auxiliary(channels, classes):
    """The auxiliary head of torchvision and mmsegmentation: 3×3 to 256, batch norm, classifier. Ours is 64 wide."""
    return channels * 256 * 9 + 2 * 256 + 256 * classes + classes


@pytest.mark.parametrize(
    ("name", "width", "weights", "extra"),
    [
        ("fcn-resnet50", 512, tv.FCN_ResNet50_Weights, auxiliary(1024, 21)),
        ("fcn-resnet101", 512, tv.FCN_ResNet101_Weights, auxiliary(1024, 21)),
        ("deeplabv3-resnet50", None, tv.DeepLabV3_ResNet50_Weights, auxiliary(1024, 21)),
        ("deeplabv3-resnet101", None, tv.DeepLabV3_ResNet101_Weights, auxiliary(1024, 21)),
        ("lraspp-mobilenetv3_large_100", None, tv.LRASPP_MobileNet_V3_Large_Weights, 21),  # its second classifier has a bias too
    ],
)
def test_torchvision(name, width, weights, extra):
    """To the parameter: the numbers that torchvision documents with its weights."""
    assert parameters(on_meta(name, 21, width)) + extra == weights.DEFAULT.meta["num_params"]


@pytest.mark.parametrize(
    ("name", "millions", "giga"), [("hrnet_w18_small", 1.5, 31.1), ("hrnet_w18_small_v2", 3.9, 71.6), ("hrnet_w48", 65.8, 696.2)]
)
def test_hrnet(name, millions, giga):
    """HRNet-Semantic-Segmentation's README, Cityscapes: #Params and GFLOPs of a 1024×2048 image (multiply-adds, in units of 2³⁰)."""
    model = on_meta(f"fcn-{name}", 19)
    assert parameters(model) / 1e6 == pytest.approx(millions, rel=0.01, abs=0.05)
    assert multiply_adds(model, 1024, 2048) / 2**30 == pytest.approx(giga, rel=0.01)


@pytest.mark.parametrize(
    ("name", "width", "extra", "millions"),
    [
        ("psp-resnet101d", 512, auxiliary(1024, 150), 68.1),
        ("deeplabv3plus-resnet101d", 512, auxiliary(1024, 150), 62.7),
        ("deeplabv3plus-mobilenetv2_100", 512, auxiliary(96, 150), 15.4),
        ("ocr-hrnet_w48", None, 0, 70.5),
    ],
)
def test_mmsegmentation(name, width, extra, millions):
    """mmsegmentation's ADE20K models, as SegFormer (Xie et al. 2021) lists their parameters in its table 2."""
    assert (parameters(on_meta(name, 150, width)) + extra) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(
    ("name", "width", "millions"), [("deeplabv3-resnet101d", 256, 61.1), ("deeplabv3-resnet18d", 128, 13.6), ("psp-resnet18d", 128, 12.9)]
)
def test_distillation_papers(name, width, millions):
    """Params of RDD's Cityscapes models, as later tables beside its results quote them.

    Their deep stem is 64 wide, timm's 32; their auxiliary head a quarter of its input: 256 for ResNet-101, 64 for ResNet-18, like ours.
    """
    model = on_meta(name, 19, width, auxiliary=True)
    extra = auxiliary(1024, 19) - parameters(model.auxiliary) if "101" in name else 0
    assert (parameters(model) + extra) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(("name", "mega"), [("stdc1", 813), ("stdc2", 1446)])
def test_stdc_backbones(name, mega):
    """The published files are named STDCNet813M and STDCNet1446M after the multiply-adds of a 224×224 image, with the classifier:
    1×1 1024→1024 at 7×7, two fully connected layers 1024→1024→1000."""
    with torch.device("meta"):
        model = timm.create_model(name)
    classifier = 49 * 1024 * 1024 + 1024 * 1024 + 1024 * 1000
    assert (multiply_adds(model, 224, 224) + classifier) / 1e6 == pytest.approx(mega, rel=0.01)


@pytest.mark.parametrize("backbone", ["stdc1", "stdc2"])
def test_stdc_seg_head(backbone):
    """The convolutions of STDC-Seg's figure 4 and public code, one by one; its classifier has no bias."""
    model = on_meta(f"stdc-{backbone}", 19)
    norm = 2 * 128
    refinement = [channels * 128 * 9 + norm + 128 * 128 + norm for channels in (1024, 512)]
    context = 1024 * 128 + norm + sum(refinement) + 2 * (128 * 128 * 9 + norm)
    fusion = (256 + 128) * 256 + 2 * 256 + 2 * 256 * 64
    assert parameters(model.head) == context + fusion + 256 * 256 * 9 + 2 * 256
    assert model.stride == 8 and model.backbone.levels.channels == (32, 64, 256, 512, 1024)
