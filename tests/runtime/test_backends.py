"""Backends: the same class map from each that can be used here, and a sentence from each that can't."""

import subprocess
import sys
from collections import Counter
from importlib.util import find_spec

import numpy as np
import pytest

from edgekd_runtime.backends import BACKENDS, open_session, usable_backends
from edgekd_runtime.backends.onnxruntime import placement_notes, placements
from edgekd_runtime.backends.providers import CUDA, TENSORRT
from edgekd_runtime.check import check_machine
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from tests.runtime.models import DATA, SIZE, write_model

NO_OPENVINO = "OpenVINO is not installed (pip install openvino)"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


def test_backends_that_read_onnx_agree(model):
    image = np.kron(np.random.default_rng(0).integers(0, 256, (5, 7, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    maps = {}
    for name, (usable, _) in usable_backends().items():
        if usable and BACKENDS[name].reads == ".onnx":
            with open_session(model, name, threads=1) as session:
                assert session.backend == name and session.version
                maps[name] = [session.class_map(image), session.predict(image, (80, 112))]
    assert "onnxruntime-cpu" in maps and ("openvino" in maps) == (find_spec("openvino") is not None)
    for small, large in maps.values():
        assert small.shape == SIZE and large.shape == (80, 112)
        assert (small == maps["onnxruntime-cpu"][0]).mean() > 0.999


def test_a_result_outlives_the_next_call(model):
    """OpenVINO and TensorRT write into memory that the next call uses."""
    pytest.importorskip("openvino", reason=NO_OPENVINO)
    rng = np.random.default_rng(1)
    with open_session(model, "openvino") as session:
        first = session.run(rng.integers(0, 256, (1, *SIZE, 3)).astype(np.uint8))
        before = first.copy()
        session.run(np.zeros((1, *SIZE, 3), np.uint8))
        assert np.array_equal(first, before)


def test_every_unusable_backend_says_what_is_missing(model):
    for name, (usable, words) in usable_backends().items():
        if usable or BACKENDS[name].reads != ".onnx":
            continue
        with pytest.raises(MissingError) as raised:
            open_session(model, name)
        assert str(raised.value) == words and raised.value.exit_code == 3


def test_a_backend_that_does_not_read_the_file_names_those_that_do(model):
    with pytest.raises(UsageError, match=r"tensorrt does not run .*use onnxruntime-cpu or"):
        open_session(model, "tensorrt")
    with pytest.raises(UsageError, match="Unknown backend 'onnx'"):
        open_session(model, "onnx")


def test_a_damaged_model_is_told_by_openvino(model, tmp_path):
    pytest.importorskip("openvino", reason=NO_OPENVINO)
    from dataclasses import replace

    from edgekd_runtime.artifact import load_artifact
    from edgekd_runtime.files import sha256

    (tmp_path / "model.onnx").write_bytes(b"no model")
    replace(load_artifact(model), sha256=sha256(tmp_path / "model.onnx")).save(tmp_path)
    for backend in ("openvino", "onnxruntime-cpu"):
        with pytest.raises(EdgeKDError, match=r"can't load .*model\.onnx"):
            open_session(tmp_path / "model.onnx", backend)


def test_the_check_lists_everything():
    found = check_machine()
    assert set(found["backends"]) == set(BACKENDS) and set(found["builders"]) == {"tensorrt", "tensorrt-rtx"}
    assert all(one["detail"] for group in ("backends", "builders") for one in found[group].values())
    assert found["backends"]["onnxruntime-cpu"]["usable"] and found["device"]["cores"] >= 1


def test_nodes_are_counted_by_where_they_ran(model, tmp_path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "nodes")
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    (provider, operators), *others = placements(session, {"image": np.zeros((1, *SIZE, 3), np.uint8)}).items()
    assert provider == "CPUExecutionProvider" and not others
    assert operators["Conv"] == 1 and operators["Cast"] == 2 and operators["ArgMax"] == 1


def test_nodes_that_a_gpu_left_to_the_cpu_are_told():
    """No GPU was at hand: the counts are made up."""
    on_gpu = {"CUDAExecutionProvider": Counter(Conv=90, Relu=6)}
    assert placement_notes(on_gpu, CUDA) == ()
    with_cpu = on_gpu | {"CPUExecutionProvider": Counter(ArgMax=1, Shape=3)}
    (said,) = placement_notes(with_cpu, CUDA)
    assert said.startswith("4 of its 100 nodes ran on the CPU (3 Shape, 1 ArgMax); the copies")
    by_cuda, by_cpu = placement_notes(with_cpu | {TENSORRT: Counter(TRTKernel=1)}, TENSORRT)
    assert by_cuda == "96 of its 101 nodes ran on CUDA (90 Conv, 6 Relu)." and by_cpu.startswith("4 of its 101")


def test_the_committed_models_are_what_their_script_writes():
    onnx = pytest.importorskip("onnx", reason="onnx wrote them, and is not installed here")
    from tests.runtime.data import make

    for name, batch in make.FILES.items():
        assert onnx.load(DATA / name) == make.model(batch)


AFTER_TWO_MODELS = """
import gc, os, signal, sys
from pathlib import Path
from edgekd_runtime.backends import open_session

signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
sessions = [open_session(Path(sys.argv[1]), "openvino") for _ in range(2)]
while sessions:
    sessions.pop(0).close()
    gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_a_signal_is_handled_after_two_models_have_gone(model):
    pytest.importorskip("openvino", reason=NO_OPENVINO)
    done = subprocess.run([sys.executable, "-c", AFTER_TWO_MODELS, str(model)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr


@pytest.mark.parametrize(
    ("source", "target", "corners", "replaced"),
    [
        ((3, 1, 5, 7), (17, 29), "align_corners", 1),
        ((2, 1, 1, 2), (4, 1), "align_corners", 1),
        ((3, 1, 5, 7), (5, 3), "align_corners", 1),
        ((3, 1, 5, 7), (17, 29), "half_pixel", 0),  # not what an export has
        ((1, 3, 5, 7), (17, 29), "align_corners", 0),  # features inside the network stay
    ],
)
def test_openvino_resizes_planes_by_products(source, target, corners, replaced):
    openvino = pytest.importorskip("openvino", reason=NO_OPENVINO)
    from openvino import opset13 as ops

    from edgekd_runtime.backends.openvino_resize import resize_by_products

    image = ops.parameter(source, openvino.Type.f32)
    sides = [ops.constant(np.array(values)) for values in (target, (2, 3))]
    resized = ops.interpolate(image, sides[0], "linear_onnx", "sizes", axes=sides[1], coordinate_transformation_mode=corners)
    model = openvino.Model([resized], [image])
    given = np.random.default_rng(0).normal(size=source).astype(np.float32)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    before = openvino.compile_model(model, "CPU", settings)([given])[0]
    assert resize_by_products(model) == replaced
    after = openvino.compile_model(model, "CPU", settings)([given])[0]
    assert after.shape == before.shape and np.abs(after - before).max() < 1e-5
    assert any(node.get_type_name() == "Interpolate" for node in model.get_ops()) == (not replaced)
    if replaced:  # each axis by itself, in float64
        places = [np.linspace(0, size - 1, count) if count > 1 else [0.0] for size, count in zip(source[2:], target, strict=True)]
        rows = np.stack([[np.interp(places[0], range(source[2]), column) for column in plane[0].T] for plane in given]).transpose(0, 2, 1)
        whole = np.stack([[np.interp(places[1], range(source[3]), row) for row in plane] for plane in rows])
        assert np.abs(after[:, 0] - whole).max() < 1e-5
