"""Small ONNX graphs."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgekd.config import ModelRecipe
from edgekd.export.onnx import OPSET, write_onnx
from edgekd.models.build import build_network
from edgekd_calib.forms import CALIBRATED
from edgekd_calib.graph import load_graph
from edgekd_calib.ranges import tensor_ranges
from edgekd_calib.table import CalibrationTable

SIZE = (40, 56)


def make_graph(nodes, inputs, outputs, weights=None, opset=OPSET):
    """A model; inputs and outputs are name → (type, shape)."""
    named = [helper.make_node(*args, name=f"n{index}", **options) for index, (args, options) in enumerate(nodes)]
    graph = helper.make_graph(
        named,
        "made",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def lively(name, classes=5, **options):
    """A network whose batch norms are not the identity."""
    torch.manual_seed(0)
    model = build_network(ModelRecipe(name=name, head_channels=16, **options), classes).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.25)
    return model


def settled(name, size, **options):
    """The same with batch norms that have seen pictures, so that every layer's output is spread as a trained network's is.

    Under random statistics the scores of some heads are nearly a constant a class: any fault keeps their class map.
    """
    model = lively(name, **options)
    pictures = torch.from_numpy(np.concatenate(noise(8, size))).permute(0, 3, 1, 2).float() / 255
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the mean over all that it sees
            module.train()
    with torch.no_grad():
        model((pictures - model.mean.reshape(1, 3, 1, 1)) / model.std.reshape(1, 3, 1, 1))
    return model.eval()


def noise(count, size=SIZE):
    rng = np.random.default_rng(0)
    # low frequencies, as pictures have, so that the layers see more than grey
    return [np.kron(rng.integers(0, 256, (1, size[0] // 8, size[1] // 8, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8) for _ in range(count)]


def table_of(model, images, method="minmax"):
    return CalibrationTable("of this", method, 0, {"hash": "name"}, tensor_ranges(model, images, method, CALIBRATED))


@pytest.fixture(scope="package")
def residual(tmp_path_factory):
    """A network with ReLU6, residual additions and a bilinear resize."""
    file = tmp_path_factory.mktemp("residual") / "model.onnx"
    write_onnx(lively("lraspp-tf_efficientnet_lite0", output_stride=32), SIZE, "classes", file, {})
    return load_graph(file)


FLOAT, UINT8, INT8, INT32 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32
__all__ = ["FLOAT", "INT8", "INT32", "SIZE", "UINT8", "lively", "make_graph", "noise", "onnx", "settled", "table_of"]
