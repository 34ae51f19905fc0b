"""Rounding against its closed form, its gradient, and the exported INT8 file against what the student saw in training."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgekd import parts, pipeline
from edgekd.config import ModelRecipe
from edgekd.export.onnx import write_onnx
from edgekd.models import build_network, load_network
from edgekd.runs import Run, open_run
from edgekd.train.fake_quant import FakeQuant, quantise_while_training, round_between, round_channels, round_symmetric
from edgekd_calib.forms import FORMS
from edgekd_calib.graph import load_graph, run_graph, scores_tensor
from edgekd_calib.quantize import quantize
from edgekd_runtime.errors import EdgeKDError, UsageError
from tests.calib.conftest import lively, noise, table_of


def test_rounding_is_to_the_nearest_level():
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    step = x.abs().max() / 127
    torch.testing.assert_close(round_symmetric(x), (x / step).round() * step)
    low, high = x.min(), x.max()
    step = (high - low) / 255
    zero = (-low / step).round()
    torch.testing.assert_close(round_between(x), ((x / step).round() + zero).clamp(0, 255) * step - zero * step)
    steps = x.abs().amax((1, 2, 3), keepdim=True) / 64
    torch.testing.assert_close(round_channels(x, 64), (x / steps).round() * steps)
    assert not round_symmetric(torch.zeros(1, 1, 2, 2)).any() and not round_between(torch.zeros(1, 1, 2, 2)).any()
    rectified = x.relu()  # all of the levels are for what is there
    assert (round_between(rectified) - rectified).abs().max() <= rectified.max() / 255 / 2 + 1e-6


def test_gradients_pass_straight_through():
    image, weight = torch.randn(1, 3, 8, 8, requires_grad=True), torch.randn(4, 3, 3, 3, requires_grad=True)
    with FakeQuant(8, "tensorrt"):
        F.conv2d(image, weight).square().sum().backward()
    rounded = [round_symmetric(image).detach().requires_grad_(), round_channels(weight, 127).detach().requires_grad_()]
    F.conv2d(*rounded).square().sum().backward()
    for given, expected in zip((image, weight), rounded, strict=True):
        torch.testing.assert_close(given.grad, expected.grad)


def snr(exact, given):
    """Signal to noise in decibels."""
    return 10 * np.log10(np.square(exact).sum() / np.square(exact - given).sum())


@pytest.mark.parametrize(("target", "bits", "darkest"), [("cpu", 7, 40), ("tensorrt", 8, 0)])
def test_training_sees_the_noise_of_the_exported_int8_model(tmp_path, target, bits, darkest):
    """The same numbers after the first convolution, and the same noise at the end, where roundings have long gone separate ways."""
    model = lively("fcn-mobilenetv1_100", output_stride=32)
    images = [
        np.maximum(image, darkest) for image in noise(1, (64, 96))
    ]  # from 0 on, each value lies halfway between two of a CPU's levels
    write_onnx(model, (64, 96), "classes", tmp_path / "model.onnx", {})
    fp32 = load_graph(tmp_path / "model.onnx")
    second = [node for node in fp32.graph.node if node.op_type == "Conv"][1].input[0]
    names = [second, scores_tensor(fp32.graph)]
    int8 = quantize(fp32, table_of(fp32, images), FORMS[target], weight_bits=bits)
    early, late = next(run_graph(int8, images, names, optimise=False))
    early = np.maximum(early, 0)  # for CPUs the activation is folded into the rounding that comes next
    exact_early, exact_late = next(run_graph(fp32, images, names))
    pixels = model.normalize(torch.from_numpy(images[0]).permute(0, 3, 1, 2))
    seen = []
    convolutions = [module for module in model.backbone.modules() if isinstance(module, torch.nn.Conv2d)]
    convolutions[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    quantise_while_training(model, bits, target)
    with torch.inference_mode():
        scores = F.interpolate(model(pixels).logits, (64, 96), mode="bilinear", align_corners=True).numpy()
    assert snr(early, seen[0].numpy()) > 80 > 60 > snr(exact_early, early)
    assert snr(exact_late, scores) == pytest.approx(snr(exact_late, late), abs=3.0)


def test_the_classifier_of_a_network_from_elsewhere_stays_float():
    recipe = ModelRecipe(name="tests.models.own:Net", logits="scores", classifier="last")
    model = build_network(recipe, 4).eval()
    quantise_while_training(model, 8)
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        output = model(image)
    exact = F.conv2d(output.features, model.module.last.weight, model.module.last.bias)
    torch.testing.assert_close(output.logits, exact)
    assert not torch.equal(output.features, model.module.up(model.module.down(image)))


def test_the_mode_ends_with_the_forward_even_when_that_fails():
    model = lively("fcn-resnet10t", output_stride=32)
    quantise_while_training(model, 7)
    with pytest.raises(RuntimeError):
        model(torch.zeros(1, 7, 32, 32))
    x, weight = torch.randn(1, 3, 8, 8), torch.randn(2, 3, 3, 3)
    expected = F.conv2d(x.double(), weight.double()).float()
    torch.testing.assert_close(F.conv2d(x, weight), expected, rtol=1e-5, atol=1e-5)


def test_fine_tuning_starts_from_the_run_and_leaves_batch_norm_alone(tmp_path, tiny, edgekd):
    pipeline.train(parts.teacher_part(tiny), tmp_path / "teacher")
    recipe = tiny.model_copy(update={"teacher": tiny.teacher.model_copy(update={"run": str(tmp_path / "teacher")})})
    pipeline.distill(recipe, tmp_path / "student")
    edgekd("distill", "--qat", "--recipe", tmp_path / "student", "--steps", 2, "--out", tmp_path / "qat")
    resolved = open_run(tmp_path / "qat").recipe
    assert resolved.train.fake_quant == 7 and resolved.method.endswith("+qat") and resolved.train.lr == pytest.approx(tiny.train.lr / 10)
    first, second = (torch.load(tmp_path / name / "last.pt", weights_only=True)["objective"] for name in ("student", "qat"))
    best = load_network(tmp_path / "student")[0].state_dict()
    norms = [key for key in best if key.endswith("running_var")]
    assert norms and all(torch.equal(second[f"student.{key}"], best[key]) for key in norms)
    assert not torch.equal(second["student.classifier.weight"], first["student.classifier.weight"])
    assert len([record for record in Run(tmp_path / "qat").history() if "loss" in record]) == 2


def test_a_start_of_another_model_is_refused(tmp_path, tiny):
    pipeline.train(parts.teacher_part(tiny), tmp_path / "teacher")
    part = parts.student_part(tiny)
    wrong = part.model_copy(update={"train": part.train.model_copy(update={"start": str(tmp_path / "teacher")})})
    with pytest.raises(EdgeKDError, match=r"train\.start: .*fcn-resnet10t, which does not fit"):
        pipeline.train(wrong, tmp_path / "run")
    with pytest.raises(UsageError, match="--qat fine-tunes a trained student"):
        parts.quantised_fine_tuning(tmp_path)
