"""The files of a network that nobody has trained are those of a trained one but for the numbers in them."""

import shutil

import numpy as np
import onnx
import pytest
import torch

from edgekd.export.calibration import CalibrationSet, calibrate
from edgekd.export.lowered import lowered_precision
from edgekd.export.onnx import write_onnx
from edgekd.export.precision import wanted
from edgekd.export.reduce import kept_anyway
from edgekd.fit import untrained as module
from edgekd.fit.candidate import candidates
from edgekd.fit.untrained import build_untrained, export_untrained
from edgekd.models import build_network
from edgekd_calib.graph import load_graph, run_graph
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.files import sha256
from edgekd_runtime.memory import peak_memory
from tests.fit.conftest import CANDIDATE, CLASSES


def shape_of(file):
    """Operators with their attributes, and shapes and types of the constants, in the file's order."""
    graph = onnx.load(file).graph
    nodes = [(node.op_type, [item.SerializeToString() for item in node.attribute if item.name != "value"]) for node in graph.node]
    return nodes, [(list(item.dims), item.data_type) for item in graph.initializer]


def trained_like(folder):
    """The same network with the numbers of another: weights, biases and statistics as training might leave them; exported for real."""
    torch.manual_seed(7)
    network = build_network(CANDIDATE.model, CLASSES).eval()
    with torch.no_grad():
        for value in [*network.parameters(), *network.buffers()]:
            if value.dtype.is_floating_point and value is not network.mean and value is not network.std:
                value.copy_(value * (0.5 + torch.rand_like(value)) + 0.02 * torch.rand_like(value))
    source = folder / "fp32/model.onnx"
    source.parent.mkdir(parents=True)
    write_onnx(network, CANDIDATE.size, "classes", source, {})
    images = [np.random.default_rng(seed).integers(0, 99, (1, *CANDIDATE.size, 3)).astype(np.uint8) for seed in range(3)]
    return source, CalibrationSet(["a", "b", "c"], images, [], 0)


def test_the_graph_is_that_of_a_trained_network(untrained, tmp_path):
    folder, files = untrained
    assert not files.failures and set(files.made) == {"fp32", "int8"}
    source, images = trained_like(tmp_path)
    assert shape_of(source) == shape_of(folder / "fp32/model.onnx")
    Artifact.load(folder / "fp32").save(source.parent)
    sidecar = Artifact.load(source.parent)
    object.__setattr__(sidecar, "sha256", sha256(source))
    sidecar.save(source.parent)
    (one,) = wanted(("int8",), ("cpu",))
    model = load_graph(source)
    table = calibrate(source, images, "percentile")
    onnx.save(lowered_precision(model, one, table).build(kept_anyway(model, one.kind, {})), tmp_path / "int8.onnx")
    assert shape_of(tmp_path / "int8.onnx") == shape_of(folder / "int8/model.onnx")
    assert {node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node} > {"QuantizeLinear", "Conv"}


def test_what_is_there_is_not_made_again(untrained, monkeypatch):
    folder, files = untrained
    monkeypatch.setattr(module, "build_network", None)
    monkeypatch.setattr(module, "calibrate", None)
    assert export_untrained(CANDIDATE, CLASSES, folder, ("fp32", "int8"), ("cpu",)) == files


def test_its_activations_are_about_as_large_as_a_trained_ones(untrained):
    model = onnx.load(untrained[0] / "fp32/model.onnx")
    names = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    image = np.random.default_rng(1).integers(0, 256, (1, *CANDIDATE.size, 3)).astype(np.uint8)
    (found,) = run_graph(model, [image], names, optimise=False)
    deviations = [float(value.std()) for value in found]
    assert len(names) > 10 and min(deviations) > 0.1 and max(deviations) < 10
    network = build_untrained(CANDIDATE, CLASSES)
    assert not any(one.training or getattr(one, "momentum", 0.1) != 0.1 for one in network.modules())


def test_what_cant_be_quantised_leaves_fp32(untrained, tmp_path, monkeypatch):
    shutil.copytree(untrained[0] / "fp32", tmp_path / "fp32")
    monkeypatch.setattr(module, "calibrate", lambda *given: 1 / 0)
    files = export_untrained(CANDIDATE, CLASSES, tmp_path, ("fp32", "int8"), ("cpu",))
    assert files.made == {"fp32": [tmp_path / "fp32/model.onnx"]} and files.failures == {"int8": "division by zero"}


@pytest.mark.parametrize("damage", [b"", b"not a model"])
def test_what_cant_be_exported_is_said_of_every_precision(untrained, tmp_path, monkeypatch, damage):
    shutil.copytree(untrained[0] / "fp32", tmp_path / "fp32")
    (tmp_path / "fp32/model.onnx").write_bytes(damage)  # of a killed run: made again
    monkeypatch.setattr(module, "build_network", lambda *given, **options: 1 / 0)
    files = export_untrained(CANDIDATE, CLASSES, tmp_path, ("fp32", "int8"), ("cpu",))
    assert files.made == {} and files.failures == dict.fromkeys(("fp32", "int8"), "division by zero")


@pytest.mark.slow
@pytest.mark.parametrize("candidate", candidates((), [(64, 128)]), ids=lambda one: one.model.name)
def test_every_default_runs_in_int8_wherever_it_is_measured(candidate, tmp_path):
    (file,) = export_untrained(candidate, CLASSES, tmp_path, ("int8",), ("cpu",)).made["int8"]
    for backend in ("onnxruntime-cpu", "openvino"):
        assert peak_memory(file, backend, 1)  # in a process of its own: OpenVINO crashed on two of them
