"""The deployed network's normalisation: in the form that is fast, and not a bit different."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgekd.export.deployed import Deployed
from edgekd.export.onnx import write_onnx
from edgekd_calib.graph import constants, load_graph
from tests.calib.conftest import lively

SIZE = (40, 57)


@pytest.fixture(scope="module")
def model():
    return lively("fcn-resnet10t", output_stride=32)


def test_normalisation_gives_the_bits_of_its_definition(model):
    """Every value of a pixel in every channel: x·(1/(255·std)) − mean/std, a constant a channel, and the network behind it."""
    image = np.arange(256).repeat(3).reshape(1, -1, 3)  # each row of the picture another run of the 256 values
    image = np.stack([np.roll(image, shift, 1)[:, : SIZE[1]] for shift in range(0, 7 * SIZE[0], 7)], 1).astype(np.uint8)
    assert image.shape == (1, *SIZE, 3) and len(np.unique(image)) == 256
    mean, std = model.mean.flatten(), model.std.flatten()
    seen = []
    deployed = Deployed(model, SIZE, "logits").eval()
    deployed.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        scores = deployed(torch.from_numpy(image))
        normalised = (torch.from_numpy(image).float() * (1 / (255 * std)) - mean / std).permute(0, 3, 1, 2)
        expected = F.interpolate(model(normalised).logits, SIZE, mode="bilinear", align_corners=True)
    assert torch.equal(seen[0], normalised)
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-5)


def test_its_constants_are_as_wide_as_the_image(model, tmp_path):
    """A runtime broadcasts along a last axis of 3 pixel by pixel."""
    write_onnx(model, SIZE, "classes", tmp_path / "model.onnx", {})
    graph = load_graph(tmp_path / "model.onnx").graph
    values = constants(graph)
    first = next(index for index, node in enumerate(graph.node) if node.op_type == "Conv")
    read = [values[name].shape for node in graph.node[:first] for name in node.input if name in values]
    assert read == [(1, 1, SIZE[1], 3)] * 2
