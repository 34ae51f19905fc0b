"""What every head on every kind of backbone and every whole network keep: sizes, memory format, precision, what ships, ONNX."""

import itertools
from copy import deepcopy

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import tests.models.small  # noqa: F401  (registers small transformers with timm)
from edgekd import parts, pipeline
from edgekd.config import ModelRecipe
from edgekd.export.onnx import OPSET, write_onnx
from edgekd.models import Segmenter
from edgekd.models.build import build_network
from edgekd.models.heads import HEADS
from edgekd.models.networks import NETWORKS
from edgekd_calib.graph import scores_tensor, with_outputs
from edgekd_calib.rules import tensorrt_faults
from edgekd_runtime.errors import UsageError
from tests.calib.test_rules import parsed_by_tensorrt

# plain and dilated, deep stem; depth-wise; re-parameterised; concatenating; parallel branches; a single map of 14-pixel patches
BACKBONES = ["resnet10t", "mobilenetv4_conv_small_050", "repvit_m0_9", "stdc1", "hrnet_w18_small", "small_dinov2"]
# every backbone that the papers' models need, each under a head that it is used with; every head is among them
NAMED = [
    "psp-resnet18",
    "fcn-resnet50",
    "deeplabv3-resnet101",
    "isa-resnet18d",
    "ocr-resnet18d",
    "ocr-resnet50d",
    "deeplabv3plus-resnet101d",
    "deeplabv3-mobilenetv2_100",
    "lraspp-mobilenetv3_large_100",
    "lraspp-tf_efficientnet_lite0",
    "ocr-hrnet_w18",
    "fcn-hrnet_w18_small",
    "fcn-hrnet_w48",
    "stdc-stdc1",
    "stdc-stdc2",
    "lraspp-mobilenetv4_conv_small",
    "fcn-repvit_m0_9",
    "fpn-tf_efficientnet_lite0",
    "segformer-convnext_atto",
    "segformer-pvt_v2_b0",
    "fcn-small_dinov3",
    "deeplabv3plus-small_swin",
    "fpn-vit_small_patch14_dinov2",
    "fpn-swin_tiny_patch4_window7_224",
]
# a quarter of a minute to a whole one each to export; their graphs are those of the small ones, with more channels and blocks
SLOW = {
    "deeplabv3-resnet101",
    "deeplabv3plus-resnet101d",
    "fcn-hrnet_w48",
    "ocr-hrnet_w18",
    "ocr-resnet50d",
    "segformer-pvt_v2_b0",
    "fpn-vit_small_patch14_dinov2",
    "fpn-swin_tiny_patch4_window7_224",
    "ddrnet-23-slim",
    "pp-liteseg-b",
    "ffnet-40s",
}
MATRIX = [f"{head}-{backbone}" for head, backbone in itertools.product(HEADS, BACKBONES)]


def marked(names):
    """Each name once, the slow ones so."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in dict.fromkeys(names)]


PAIRS = marked([*MATRIX, *NAMED, *NETWORKS])
CLASSES = 5
POOLING = {"psp", "deeplabv3", "deeplabv3plus", "stdc", "ppliteseg"}
WITHOUT_POOLING = {"ffnet-40s", "regseg"}


def build(name, in_channels=3):
    """A small model whose batch norms are not the identity."""
    torch.manual_seed(0)
    model = build_network(ModelRecipe(name=name, head_channels=16, dropout=0.0), CLASSES, in_channels).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.25)
    return model


@pytest.fixture(scope="module", params=PAIRS)
def model(request):
    """Built once a pair."""
    return build(request.param)


def image(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_an_odd_size(model):
    output = model(image(2, 3, 65, 97))
    size = (-(-65 // model.stride), -(-97 // model.stride))
    assert output.logits.shape == (2, CLASSES, *size)
    assert output.features.shape == (2, model.feature_channels, *size)
    assert (output.aux_logits is not None) == ("auxiliary" in model.gives)
    assert output.aux_logits is None or output.aux_logits.shape[:2] == (2, CLASSES)
    assert output.boundary is None and output.boosters == ()  # for training only
    assert (model.classifier is not None) == ("classifier" in model.gives)
    if model.classifier is not None:
        torch.testing.assert_close(output.logits, model.classifier(output.features))


def test_channels_last_and_bf16(model):
    x = image(1, 3, 64, 96)
    with torch.no_grad():
        plain = model(x).logits
        last = deepcopy(model).to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last)).logits
        assert (last - plain).abs().max() < 1e-3 * plain.abs().max()
        with torch.autocast("cpu", torch.bfloat16):
            half = model(x).logits.float()
    assert F.cosine_similarity(half.flatten(), plain.flatten(), dim=0) > 0.99


def test_the_form_that_ships_gives_the_same(model):
    x = image(1, 3, 64, 96)
    ships = model.deployable()
    with torch.no_grad():
        expected, given = model(x), ships(x)
    torch.testing.assert_close(given, expected.logits, rtol=1e-3, atol=1e-4)
    if isinstance(model, Segmenter):
        sizes = [sum(parameter.numel() for parameter in of.backbone.parameters()) for of in (ships, model)]
        assert sizes[0] < sizes[1] if "repvit" in model.name else sizes[0] == sizes[1]
    assert not any("auxiliary" in key or "training_only" in key for key in ships.state_dict())


def test_one_image_in_training(model):
    """Batch norm refuses a single value a channel; heads that would run into that say so, and take two images."""
    whole = model.name in NETWORKS
    assert model.pools_globally == (model.name not in WITHOUT_POOLING if whole else model.name.partition("-")[0] in POOLING)
    trained = deepcopy(model).train()
    if model.pools_globally:
        with pytest.raises(ValueError, match="more than 1 value"):
            trained(image(1, 3, 65, 97))
    output = trained(image(2 if model.pools_globally else 1, 3, 65, 97))
    maps = [output.logits, output.aux_logits, output.boundary, *output.boosters]
    sum(each.sum() for each in maps if each is not None).backward()
    assert all(parameter.grad is not None for parameter in (trained if whole else trained.head).parameters())


@pytest.mark.parametrize("head", sorted(POOLING))
def test_one_image_a_process_is_refused_before_training(head, tiny, tmp_path):
    student = tiny.student.model_copy(update={"name": f"{head}-resnet10t"})
    recipe = parts.student_part(tiny.model_copy(update={"student": student, "train": tiny.train.model_copy(update={"batch_size": 1})}))
    with pytest.raises(UsageError, match=r"two images.*train\.batch_size"):
        pipeline.train(recipe, tmp_path / "run")


@pytest.mark.parametrize("name", [*(f"{head}-resnet10t" for head in HEADS), *marked([*NAMED, *NETWORKS])])
def test_four_channels(name):
    model = build(name, in_channels=4)
    x = image(1, 4, 64, 64)
    assert model(x).logits.shape[1] == CLASSES
    assert not torch.equal(model(x).logits, model(x * torch.tensor([1.0, 1, 1, 0])[:, None, None]).logits)


@pytest.mark.parametrize("model", marked([*NAMED, *NETWORKS]), indirect=True)
def test_what_ships_runs_in_onnx_runtime_and_builds_in_tensorrt(model, tmp_path):
    import onnxruntime

    size = (72, 104)
    pixels = np.random.default_rng(0).integers(0, 256, (1, *size, 3)).astype(np.uint8)
    with torch.inference_mode():
        logits = model(model.normalize(torch.from_numpy(pixels).permute(0, 3, 1, 2))).logits
        expected = F.interpolate(logits, size, mode="bilinear", align_corners=True).numpy()
    file = tmp_path / "model.onnx"
    write_onnx(model, size, "classes", file, {"made": "here"})
    graph = onnx.load(file)
    onnx.checker.check_model(graph, full_check=True)
    assert graph.opset_import[0].version == OPSET and graph.metadata_props[0].value == "here"
    assert not any("auxiliary" in initializer.name or "training_only" in initializer.name for initializer in graph.graph.initializer)
    session = onnxruntime.InferenceSession(with_outputs(graph, [scores_tensor(graph.graph)]).SerializeToString())
    assert [session.get_inputs()[0].type, session.get_inputs()[0].shape] == ["tensor(uint8)", [1, *size, 3]]
    classes, scores = session.run(None, {"image": pixels})
    assert np.abs(scores - expected).max() / np.abs(expected).max() < 1e-3
    assert classes.dtype == np.uint8 and classes.shape == (1, *size) and (classes == expected.argmax(1)).mean() >= 0.999
    assert tensorrt_faults(graph) == []
    assert parsed_by_tensorrt(graph)
