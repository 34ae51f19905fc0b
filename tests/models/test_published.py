"""Sizes against published ones, to 1 % or the last digit given. What a publication counts differently is written beside it."""

import pytest
import timm
import torch
from timm.utils import reparameterize_model
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models as classifiers
from torchvision.models import segmentation as tv

from edgekd.config import ModelRecipe
from edgekd.models import Segmenter
from edgekd.models.backbone import Backbone
from edgekd.models.build import build_network
from edgekd.models.networks import NETWORKS
from edgekd.models.published import PUBLISHED


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


def wider_stem():
    """What the ResNet-18 of CIRKD's code has over timm's `resnet18d`: a stem of 64, 64 and 128 channels for 32, 32 and 64 (three 3×3
    convolutions and their batch norms), so a wider first block, and that block's own 1×1 shortcut."""
    ours, theirs = (9 * (3 * c + c * c + c * 2 * c) + 2 * (c + c + 2 * c) for c in (32, 64))
    return theirs - ours + 9 * 64 * 64 + 128 * 64 + 2 * 64


def running_statistics(model):
    return sum(2 * module.num_features for module in model.modules() if isinstance(module, nn.BatchNorm2d))


def with_classifier(name, parts):
    """Our backbone, and those parts of the ImageNet classifier that it leaves out; both as they are deployed."""
    with torch.device("meta"):
        backbone, classifier = (reparameterize_model(model) for model in (Backbone(name), timm.create_model(name)))
    return parameters(backbone) + sum(parameters(getattr(classifier, part)) for part in parts)


MOBILE = ("conv_head", "classifier")


@pytest.mark.parametrize(
    ("name", "parts", "weights"),
    [
        ("resnet18", ("fc",), classifiers.ResNet18_Weights),
        ("resnet50", ("fc",), classifiers.ResNet50_Weights),
        ("resnet101", ("fc",), classifiers.ResNet101_Weights),
        ("mobilenetv2_100", (*MOBILE, "bn2"), classifiers.MobileNet_V2_Weights),
        ("mobilenetv3_large_100", MOBILE, classifiers.MobileNet_V3_Large_Weights),
    ],
)
def test_torchvision_backbones(name, parts, weights):
    """To the parameter: the numbers that torchvision documents with its ImageNet weights."""
    assert with_classifier(name, parts) == weights.DEFAULT.meta["num_params"]


HRNET = ("incre_modules", "downsamp_modules", "final_layer", "classifier")


@pytest.mark.parametrize(
    ("name", "parts", "millions"),
    [
        ("tf_efficientnet_lite0", (*MOBILE, "bn2"), 4.7),  # README of tensorflow/tpu, models/official/efficientnet/lite
        ("mobilenetv4_conv_small", (*MOBILE, "norm_head"), 3.8),  # model card of timm/mobilenetv4_conv_small.e2400_r224_in1k
        ("repvit_m0_9", ("head",), 5.1),  # README of THU-MIG/RepViT, branches and batch norms fused
        ("hrnet_w18", HRNET, 21.30),  # mmpretrain's model zoo, as W48
        ("hrnet_w48", HRNET, 77.47),
        ("hrnet_w18_small", HRNET, 13.2),  # model card of timm/hrnet_w18_small.gluon_in1k
        ("hrnet_w18_small_v2", HRNET, 15.6),  # model card of timm/hrnet_w18_small_v2.ms_in1k
    ],
)
def test_backbones(name, parts, millions):
    """Published with their ImageNet classifier."""
    assert with_classifier(name, parts) / 1e6 == pytest.approx(millions, rel=0.01, abs=0.05)


@pytest.mark.parametrize(
    ("name", "width", "extra", "millions"),
    [
        ("stdc-stdc1", None, 0, 8.29),
        ("stdc-stdc2", None, 0, 12.33),
        ("isa-resnet101d", 512, auxiliary(1024, 19) + 2 * 256, 56.81),
        ("ocr-hrnet_w48", None, 0, 70.47),
        ("fcn-hrnet_w48", None, 0, 65.94),
    ],
)
def test_paddleseg(name, width, extra, millions):
    """Params(M) of PaddleSeg's model zoo overview, Cityscapes, to 0.1 %.

    Paddle counts batch norm's running mean and variance too; of these models ISA alone is exported with its auxiliary head.
    """
    model = on_meta(name, 19, width)
    assert (parameters(model) + running_statistics(model) + extra) / 1e6 == pytest.approx(millions, rel=0.001)


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


def test_distillation_papers_teacher():
    """RDD's Cityscapes teacher, as later tables beside its results quote it: a wider stem, and an auxiliary head of 256 channels."""
    model = on_meta("deeplabv3-resnet101d", 19, 256)
    assert (parameters(model) + auxiliary(1024, 19)) / 1e6 == pytest.approx(61.1, rel=0.01)


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


@pytest.mark.parametrize("name", [name for name, known in PUBLISHED.items() if known.parameters_m and name in NETWORKS])
def test_whole_networks(name):
    """What `edgekd models` says was published of them, as deployed, 19 classes; of Fast-SCNN without batch norms, which are folded."""
    with torch.device("meta"):
        model = build_network(ModelRecipe(name=name), 19).deployable()
    norms = sum(parameters(module) for module in model.modules() if isinstance(module, nn.BatchNorm2d)) if name == "fast-scnn" else 0
    assert (parameters(model) - norms) / 1e6 == pytest.approx(PUBLISHED[name].parameters_m, rel=0.01)


@pytest.mark.parametrize(("name", "giga"), [("pidnet-s", 47.6), ("ddrnet-23-slim", 36.3)])
def test_multiply_adds_of_whole_networks(name, giga):
    """Tables 5 of both papers: GFLOPs of a 1024×2048 image, which are multiply-adds."""
    with torch.device("meta"):
        model = build_network(ModelRecipe(name=name), 19).deployable()
    assert multiply_adds(model, 1024, 2048) / 1e9 == pytest.approx(giga, rel=0.01)


@pytest.mark.parametrize(("backbone", "width"), [("stdc1", 32), ("stdc2", 64)])
def test_pp_liteseg_head(backbone, width):
    """No size was published, so figures 3 to 5 and table 1 of the paper, convolution by convolution."""
    with torch.device("meta"):
        model = build_network(ModelRecipe(name="pp-liteseg-t" if backbone == "stdc1" else "pp-liteseg-b", auxiliary=False), 19)

    def block(inputs, outputs, kernel):
        return kernel**2 * inputs * outputs + 2 * outputs

    pools = 3 * block(1024, 128, 1) + block(128, 128, 3)
    attention = block(4, 2, 3) + block(2, 1, 3)
    widths = (128, 128, width + 32, width)
    fusions = [
        block(level, y, 3) + attention + block(y, out, 3) for level, y, out in zip((1024, 512, 256), widths, widths[1:], strict=False)
    ]
    assert parameters(model.head) == pools + sum(fusions) + block(width, width, 3)
