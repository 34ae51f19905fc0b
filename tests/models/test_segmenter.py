"""Segmenters: shapes, strides, weights, and checkpoints that can't be loaded."""

import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from edgekd.config import ModelRecipe
from edgekd.distill.lad import label_gain
from edgekd.models import NetworkFile, Segmenter, load_network, save_network
from edgekd.models.heads import HEADS
from edgekd.models.heads.base import average_bins
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.errors import EdgeKDError, UsageError


def image(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("backbone", ["resnet10t", "mobilenetv3_small_050", "tf_efficientnet_lite0"])
@pytest.mark.parametrize("head", HEADS)
def test_every_head_on_light_backbones(head, backbone):
    model = Segmenter(f"{head}-{backbone}", 5, output_stride=16, head_channels=16).eval()
    output = model(image(2, 3, 65, 97))
    stride = {"lraspp": 8, "stdc": 8, "ppliteseg": 8, "deeplabv3plus": 4, "fpn": 4, "segformer": 4}.get(head, 16)
    assert model.stride == stride
    assert output.logits.shape == (2, 5, -(-65 // stride), -(-97 // stride))
    assert output.aux_logits.shape[:2] == (2, 5)
    torch.testing.assert_close(output.logits, model.classifier(output.features))


@pytest.mark.parametrize("stride", [8, 16, 32])
def test_output_strides(stride):
    model = Segmenter("fcn-resnet10t", 3, output_stride=stride, auxiliary=False).eval()
    assert model(image(1, 3, 64, 64)).logits.shape[-2:] == (64 // stride, 64 // stride)


def test_a_backbone_that_cannot_dilate_says_so_or_keeps_its_own():
    assert Segmenter("fcn-hrnet_w18_small", 3).stride == 4
    assert Segmenter("psp-stdc1", 3).stride == Segmenter("psp-stdc1", 3, output_stride=32).stride == 32
    with pytest.raises(UsageError, match="output_stride"):
        Segmenter("fcn-hrnet_w18_small", 3, output_stride=8)


def test_channels_last_and_bf16_give_the_same_classes():
    model = Segmenter("lraspp-mobilenetv3_small_050", 5).eval()
    x = image(2, 3, 64, 96)
    plain = model(x).logits
    last = model.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last)).logits
    torch.testing.assert_close(last, plain, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(x).logits.float()
    assert F.cosine_similarity(half.flatten(), plain.flatten(), dim=0) > 0.99


def test_bins_are_those_of_adaptive_pooling():
    x = image(2, 3, 13, 17)
    for bins in (1, 2, 3, 6):
        torch.testing.assert_close(average_bins(x, bins), F.adaptive_avg_pool2d(x, bins))


def test_lraspp_is_the_sum_of_two_classifiers():
    """torchvision adds a classifier on each level; ours is one on the concatenation."""
    model = Segmenter("lraspp-mobilenetv3_small_050", 5, auxiliary=False).eval()
    output = model(image(1, 3, 64, 64))
    width = model.head.block[0].out_channels
    high = F.conv2d(output.features[:, :width], model.classifier.weight[:, :width])
    low = F.conv2d(output.features[:, width:], model.classifier.weight[:, width:], model.classifier.bias)
    torch.testing.assert_close(output.logits, high + low)


def test_a_fourth_channel_keeps_the_rgb_weights(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file(timm.create_model("resnet10t").state_dict(), file)
    rgb = Segmenter("fcn-resnet10t", 3, weights=str(file))
    wide = Segmenter("fcn-resnet10t", 3, weights=str(file), in_channels=4)
    first = [next(module for module in model.modules() if isinstance(module, nn.Conv2d)).weight for model in (rgb, wide)]
    assert torch.equal(first[1][:, :3], first[0]) and 0.05 < first[1][:, 3].std() < 0.2
    assert wide.mean.flatten().tolist()[3] == 0 and wide.std.flatten().tolist()[3] == 1
    assert wide.eval()(image(1, 4, 64, 64)).logits.shape[1] == 3


@pytest.mark.parametrize("rename", [False, True])
def test_local_weights_load_by_name_or_by_order(tmp_path, rename):
    source = timm.create_model("mobilenetv3_small_050")
    state = source.state_dict()
    torch.save({f"other.{i}" if rename else key: value for i, (key, value) in enumerate(state.items())}, tmp_path / "w.pth")
    model = Segmenter("fcn-mobilenetv3_small_050", 3, weights=str(tmp_path / "w.pth"), output_stride=32).eval()
    x = image(1, 3, 64, 64)
    expected = source.eval().forward_features(x)
    torch.testing.assert_close(model.backbone(x)[-1].mean(), _last_stage(source, x).mean(), rtol=1e-4, atol=1e-5)
    assert expected.shape[1] == model.backbone.levels.channels[-1]


def _last_stage(net, x):
    return net.blocks(net.bn1(net.conv_stem(x)))


def test_weights_of_another_model_are_refused(tmp_path):
    torch.save(timm.create_model("resnet10t").state_dict(), tmp_path / "w.pth")
    with pytest.raises(EdgeKDError, match=r"w\.pth"):
        Segmenter("fcn-mobilenetv3_small_050", 3, weights=str(tmp_path / "w.pth"))


class Payload:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was executed",))


def test_a_pickle_is_never_executed(tmp_path):
    for name in ("w.pth", "best.safetensors"):
        with (tmp_path / name).open("wb") as file:
            pickle.dump({"x": Payload()}, file)
    with pytest.raises(EdgeKDError, match="pickled"):
        Segmenter("fcn-resnet10t", 3, weights=str(tmp_path / "w.pth"))
    with pytest.raises(EdgeKDError, match="safetensors"):
        load_network(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [("deeplab-resnet18", "did you mean 'deeplabv3'"), ("fcn-resnet19", "did you mean 'resnet"), ("fcn", "HEAD-BACKBONE")],
)
def test_unknown_models_are_named(name, message):
    with pytest.raises(UsageError, match=message):
        Segmenter(name, 3)


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    model = Segmenter("lraspp-mobilenetv3_small_050", 4).eval()
    about = NetworkFile(ModelRecipe(name="lraspp-mobilenetv3_small_050"), ClassSet(("a", "b", "c", "d"), default_palette(4)), 3, 0.5)
    save_network(tmp_path / "best.safetensors", model.state_dict(), about)
    loaded, read = load_network(tmp_path, 4)
    assert read == about
    x = image(1, 3, 64, 64)
    assert torch.equal(loaded(x).logits, model(x).logits)
    with pytest.raises(EdgeKDError, match=r"predicts 4 classes but the data has 11"):
        load_network(tmp_path, 11)
    data = (tmp_path / "best.safetensors").read_bytes()
    (tmp_path / "best.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(EdgeKDError, match=r"best\.safetensors"):
        load_network(tmp_path)


@pytest.mark.parametrize("backbone", ["mobileone_s0", "repvgg_a0"])
def test_a_stem_of_parallel_convolutions_is_shown_the_label_too(backbone):
    model = Segmenter(f"lraspp-{backbone}", 2, in_channels=4).eval()
    image = torch.rand(1, 4, 64, 64)
    assert not torch.equal(model(image).logits, model(torch.cat([image[:, :3], image[:, 3:] + 1], 1)).logits)


def test_a_checkpoint_brings_its_own_normalisation(tmp_path):
    """timm may change its mind about a backbone's mean and standard deviation; a trained model may not."""
    name, classes = "lraspp-mobilenetv3_small_050", ClassSet(("a", "b"), default_palette(2))
    model = Segmenter(name, 2, in_channels=4).eval()
    about = NetworkFile(ModelRecipe(name=name), classes, 4, 0.5, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    save_network(tmp_path / "best.safetensors", model.state_dict(), about)
    loaded, read = load_network(tmp_path)
    assert read == about and loaded.normalisation == (pytest.approx((0.1, 0.2, 0.3)), pytest.approx((0.4, 0.5, 0.6)))
    pixels = torch.full((1, 3, 1, 1), 51.0)
    torch.testing.assert_close(loaded.normalize(pixels).flatten(), torch.tensor([0.1 / 0.4, 0, -0.1 / 0.6]))
    older = NetworkFile(about.model, classes, 4, 0.5)
    save_network(tmp_path / "best.safetensors", model.state_dict(), older)
    assert load_network(tmp_path)[0].normalisation == model.normalisation


def test_soft_regions_belong_to_ocr(tmp_path):
    """Its auxiliary head is neither left out, nor doubled, nor lost in a file or in the form that ships."""
    model = Segmenter("ocr-resnet10t", 3, auxiliary=False, head_channels=16).eval()
    assert model.auxiliary is None and "auxiliary" in model.gives
    about = NetworkFile(ModelRecipe(name="ocr-resnet10t", head_channels=16), ClassSet(("a", "b", "c"), default_palette(3)), 3, 0.5)
    save_network(tmp_path / "best.safetensors", model.state_dict(), about)
    x = image(1, 3, 64, 64)
    reloaded = load_network(tmp_path)[0](x)
    assert torch.equal(reloaded.aux_logits, model(x).aux_logits) and torch.equal(reloaded.logits, model(x).logits)
    assert torch.equal(model.deployable()(x), model(x).logits)


def test_the_form_that_ships_leaves_the_model_as_it_was():
    model = Segmenter("fcn-repvit_m0_9", 3).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ships = model.deployable()
    assert not ships.training and not hasattr(ships, "auxiliary") and model.training and model.auxiliary is not None
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert len(list(ships.backbone.modules())) < len(list(model.backbone.modules()))


def test_published_stdc_weights_fit(tmp_path):
    """Files of the public repository hold the classifier, and each stage under a second name."""
    source = timm.create_model("stdc1")
    state = source.state_dict()
    assert {"features.0.conv.weight", "features.2.conv_list.3.bn.running_var", "features.2.avd_layer.0.weight"} <= set(state)
    extra = {"x2.0.0.conv.weight": state["features.0.conv.weight"], "linear.weight": torch.zeros(1000, 1024)}
    torch.save({"state_dict": state | extra}, tmp_path / "STDCNet813M.tar")
    model = Segmenter("stdc-stdc1", 3, weights=str(tmp_path / "STDCNet813M.tar")).eval()
    x = image(1, 3, 64, 64)
    torch.testing.assert_close(model.backbone(x)[-1], source.eval()(x))
    with pytest.raises(EdgeKDError, match="timm has no pretrained weights for stdc1"):
        Segmenter("stdc-stdc1", 3, weights="timm")


def test_dropouts_and_auxiliary_width_of_the_papers():
    """Element by element before the classifiers and behind DeepLabV3's projection; the auxiliary head a quarter of its stage wide."""
    plain = Segmenter("deeplabv3-resnet10t", 5, head_channels=16)
    paper = Segmenter(
        "deeplabv3-resnet10t", 5, head_channels=16, auxiliary_channels=32, dropout_of="elements", projection_dropout=0.5, dropout=0.4
    )
    assert paper.auxiliary.classifier.in_channels == 32 and plain.auxiliary.classifier.in_channels == 64
    shared = {key: value for key, value in plain.state_dict().items() if not key.startswith("auxiliary")}
    assert paper.load_state_dict(shared, strict=False).unexpected_keys == []
    features = paper.train()(torch.rand(2, 3, 64, 64)).features
    gone = features == 0
    whole = gone.flatten(2).all(2).float().mean()
    assert float(gone.float().mean()) > 0.3 and float(whole) < 0.2  # pixels are missing, not channels
    ones = torch.ones(2, 16, 40, 40)
    assert float((paper.head.join[-1](ones) == 0).float().mean()) == pytest.approx(0.5, abs=0.05)
    assert torch.equal(paper.eval().head.join[-1](ones), ones)
    with pytest.raises(UsageError, match="no projection"):
        Segmenter("fcn-resnet10t", 5, projection_dropout=0.5)


def test_weights_for_bgr_see_rgb(tmp_path):
    """A checkpoint that reads BGR in 0–255 less its mean gives the same features through our RGB input."""
    torch.manual_seed(0)
    net = timm.create_model("resnet10t").eval()
    torch.save(net.state_dict(), tmp_path / "bgr.pth")
    model = Segmenter(
        "fcn-resnet10t", 5, head_channels=16, auxiliary=False, output_stride=32, weights=str(tmp_path / "bgr.pth"), pixels="bgr"
    ).eval()
    image = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    wanted = image.flip(1).float() - torch.tensor([104.008, 116.669, 122.675])[:, None, None]
    torch.testing.assert_close(model.backbone(model.normalize(image))[-1], net.forward_features(wanted), rtol=1e-4, atol=1e-3)
    assert label_gain(model.std) == 100 and label_gain(Segmenter("fcn-resnet10t", 5).std) == 100 / 58
