"""Engines: built for real by TensorRT for RTX, which needs no GPU, and refused before they are loaded where they do not fit."""

import json
import shlex
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="engines are built from exported models, and PyTorch, which exports them, is not installed here")
import onnx

from edgekd.export.onnx import write_onnx
from edgekd_runtime.artifact import Artifact, load_artifact
from edgekd_runtime.backends import open_session
from edgekd_runtime.backends.tensorrt import TensorRTSession
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.cli import build
from edgekd_runtime.cli import main as runtime
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.files import sha256
from edgekd_runtime.trt import engine, timing
from edgekd_runtime.trt.api import use_family
from edgekd_runtime.trt.build import BuildOptions, build_engine
from edgekd_runtime.trt.cuda import no_gpu_reason
from edgekd_runtime.trt.engine import rebuild_command, require_fitting_engine, write_engine
from tests.calib.conftest import FLOAT, lively, make_graph

SIZE = (40, 56)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An exported model with its engine in ``trt``."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    path = tmp_path_factory.mktemp("exported")
    export(path)
    seen = []
    write_engine(path / "model.onnx", path / "trt", "tensorrt-rtx", BuildOptions(), lambda *step: seen.append(step))
    assert seen and all(0 < done <= steps for _, done, steps in seen)
    return path


def export(path, max_batch=1):
    write_onnx(lively("lraspp-mobilenetv3_small_050", output_stride=32), SIZE, "classes", path / "model.onnx", {}, max_batch=max_batch)
    classes = ClassSet(tuple("abcde"), default_palette(5))
    digest = sha256(path / "model.onnx")
    artifact = Artifact("m fp32", "m", "none", SIZE, "classes", "fp32", classes, (0.5,) * 3, (0.5,) * 3, 18, digest, "source")
    artifact.save(path)
    return artifact


def test_the_engines_sidecar_says_what_built_it(folder):
    artifact = load_artifact(folder / "trt/model.engine")
    assert artifact.engine["family"] == "tensorrt-rtx" and artifact.engine["version"][0].isdigit()
    assert artifact.source_sha256 == sha256(folder / "model.onnx") and artifact.precision == "fp32"


@pytest.mark.skipif(no_gpu_reason() is None, reason="there is a GPU here")
def test_without_a_gpu_an_engine_is_refused_with_the_reason(folder):
    with pytest.raises(MissingError, match="GPU") as raised:
        open_session(folder / "trt/model.engine")
    assert raised.value.exit_code == 3


def test_a_truncated_engine_is_refused_first(folder, tmp_path):
    for name in ("model.engine", "model.json"):
        (tmp_path / name).write_bytes((folder / "trt" / name).read_bytes())
    (tmp_path / "model.engine").write_bytes((folder / "trt/model.engine").read_bytes()[:1000])
    with pytest.raises(EdgeKDError, match=r"model\.engine is not the file that"):
        open_session(tmp_path / "model.engine")


def test_engines_of_another_version_or_gpu_name_the_command_that_rebuilds(folder):
    file = folder / "trt/model.engine"
    artifact = load_artifact(file)
    version = artifact.engine["version"]
    here = {"name": "L4", "compute_capability": "8.9"}
    require_fitting_engine(file, artifact, version, here)  # an engine of RTX is for any GPU that it knows
    with pytest.raises(EdgeKDError, match=rf"was built by tensorrt-rtx {version}, here is 99\.0; build it again here: .* build .*onnx"):
        require_fitting_engine(file, artifact, "99.0", here)
    elsewhere = replace(artifact, engine=artifact.engine | {"gpu": {"name": "T4", "compute_capability": "7.5"}})
    with pytest.raises(EdgeKDError, match="was built for T4, here is L4"):
        require_fitting_engine(file, elsewhere, version, here)
    anywhere = elsewhere.engine | {"options": elsewhere.engine["options"] | {"hardware_compatible": True, "version_compatible": True}}
    require_fitting_engine(file, replace(artifact, engine=anywhere), "99.0", here)
    with pytest.raises(EdgeKDError, match="does not say what built"):
        require_fitting_engine(file, replace(artifact, engine={}), version, here)


def test_a_rejected_node_is_named(folder, tmp_path):
    antialiased = (("Resize", ["x", "", "", "s"], ["y"]), {"mode": "linear", "antialias": 1})
    model = make_graph([antialiased], {"x": (FLOAT, (1, 3, 16, 16))}, {"y": (FLOAT, (1, 3, 8, 8))}, {"s": np.array([1, 3, 8, 8])})
    onnx.save(model, tmp_path / "model.onnx")
    use_family("tensorrt-rtx")
    with pytest.raises(EdgeKDError, match=r"rejects .*model\.onnx: \w+ 'n0'"):
        build_engine(tmp_path / "model.onnx", load_artifact(folder / "model.onnx"), BuildOptions())


def test_dynamic_batches_have_a_profile(folder, tmp_path):
    with pytest.raises(UsageError, match="--max-batch 4"):
        build_engine(folder / "model.onnx", load_artifact(folder / "model.onnx"), BuildOptions(max_batch=4))
    artifact = export(tmp_path, max_batch=4)
    assert onnx.load(tmp_path / "model.onnx").graph.input[0].type.tensor_type.shape.dim[0].dim_param
    use_family("tensorrt-rtx")
    assert build_engine(tmp_path / "model.onnx", artifact, BuildOptions(max_batch=4, workspace_mib=256, level=1))


def test_tensorrt_for_rtx_keeps_no_timing_cache(folder, tmp_path, cache):
    """Setting one does nothing there but raise a DeprecationWarning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_engine(folder / "model.onnx", tmp_path / "trt", "tensorrt-rtx", BuildOptions())
    assert not cache.exists()
    with pytest.raises(UsageError, match="tensorrt-rtx keeps no timing cache"):
        write_engine(folder / "model.onnx", tmp_path / "other", "tensorrt-rtx", BuildOptions(timing_cache=tmp_path / "a.timing"))
    assert not (tmp_path / "other").exists()


def test_the_timing_cache_is_one_a_device_and_version(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(timing, "gpu_description", lambda: {"name": "NVIDIA Jetson AGX Orin (64 GB)"})
    file = timing.timing_cache_file("tensorrt", "10.3.0", None)
    assert file == cache / "timing/NVIDIA-Jetson-AGX-Orin-64-GB-tensorrt-10.3.0.timing"
    assert timing.timing_cache_file("tensorrt", "11.4.0", None) != file
    assert timing.timing_cache_file("tensorrt", "10.3.0", tmp_path / "mine.timing") == tmp_path / "mine.timing"
    with pytest.raises(UsageError, match=r"has to end in \.timing, not model\.onnx"):
        timing.timing_cache_file("tensorrt", "10.3.0", tmp_path / "model.onnx")


def test_a_timing_cache_goes_into_the_build_and_back_to_its_file(folder, tmp_path):
    """The calls are the same in both families, though this one's are no-ops."""
    use_family("tensorrt-rtx")
    for _ in range(2):
        with pytest.warns(DeprecationWarning):
            assert build_engine(
                folder / "model.onnx", load_artifact(folder / "model.onnx"), BuildOptions(), cache=tmp_path / "new/a.timing"
            )
        assert (tmp_path / "new/a.timing").stat().st_size > 0


def test_tf32_is_the_builders_default_and_can_be_switched_off(folder):
    use_family("tensorrt-rtx")
    import tensorrt_rtx as trt

    from edgekd_runtime.trt import build as building

    builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
    network = builder.create_network(0)
    network.add_input("image", trt.float32, (1, 8, 8, 3))
    for off in (False, True):
        config = building._configure(builder, network, load_artifact(folder / "model.onnx"), BuildOptions(no_tf32=off))
        assert config.get_flag(trt.BuilderFlag.TF32) is not off


OPTIONS = [
    BuildOptions(),
    BuildOptions(512, 5, Path("/tmp/a b.timing"), 4, 0, True, True, True),
    BuildOptions(workspace_mib=64, dla_core=1, hardware_compatible=True),
]


@pytest.mark.parametrize("options", OPTIONS)
def test_the_rebuild_command_asks_for_the_same_engine(folder, options, monkeypatch):
    """Read back by the device's own command line."""
    artifact = load_artifact(folder / "trt/model.engine")
    recorded = asdict(options) | {"timing_cache": str(options.timing_cache or "")}
    artifact = replace(artifact, engine=artifact.engine | {"options": recorded, "built_from": str(folder / "model.onnx")})
    python, *words = shlex.split(rebuild_command(artifact, folder / "a folder"))
    assert (python, *words[:2]) == ("python", "-m", "edgekd_runtime")
    asked = []
    monkeypatch.setattr(build, "write_engine", lambda *arguments: asked.append(arguments[:4]) or artifact)
    assert runtime(words[2:]) == 0
    assert asked == [(folder / "model.onnx", folder / "a folder", "tensorrt-rtx", options)]


class Inspected:
    """An engine that tells the layers that it is given, as TensorRT's inspector does."""

    def __init__(self, layers):
        self.layers = layers

    def create_engine_inspector(self):
        return SimpleNamespace(get_engine_information=lambda form: json.dumps({"Layers": self.layers}))


def test_a_fresh_engine_is_inspected_where_there_is_a_gpu(folder, tmp_path, monkeypatch):
    """Only the GPU and the engine are made up."""
    fp16 = replace(load_artifact(folder / "model.onnx"), precision="fp16", reduction={"kept": {}})
    built = [layer("c1", "CaskConvolution", FP16), layer("c2", "CaskConvolution", FP32)]
    monkeypatch.setattr(engine, "no_gpu_reason", lambda: None)
    monkeypatch.setattr(engine, "gpu_description", lambda: {"name": "made up", "compute_capability": "8.6"})
    monkeypatch.setattr(engine, "deserialise", lambda plan, host_code: engine.Loaded(Inspected(built), None))
    monkeypatch.setattr(engine, "build_engine", lambda *arguments: b"plan")
    monkeypatch.setattr(engine, "load_artifact", lambda file: fp16)
    with pytest.raises(EdgeKDError, match="TensorRT built c2 of m fp32 in fp32"):
        write_engine(folder / "model.onnx", tmp_path / "trt", "tensorrt-rtx", BuildOptions())
    assert not (tmp_path / "trt").exists()
    built.pop()
    assert write_engine(folder / "model.onnx", tmp_path / "trt", "tensorrt-rtx", BuildOptions()).engine["layers"] == {"fp16": 1}


@pytest.mark.skipif(no_gpu_reason() is None, reason="there is a GPU here")
def test_inspect_says_that_it_shows_the_sidecar_alone(folder, edgekd):
    file = folder / "trt/model.engine"
    assert load_artifact(file).engine["layers"] == {}
    use_family("tensorrt-rtx")
    with pytest.raises(EdgeKDError, match=r"can't load the engine: .*CUDA"):
        engine.deserialise(file.read_bytes(), host_code=False)
    said = edgekd("inspect", file).stdout
    assert "was not looked into, all that is shown is its sidecar" in said and "edgekd_runtime build" in said
    assert "GPU" in json.loads(edgekd("inspect", file, "--json").stdout)["not_looked_into"]


def test_a_session_refuses_a_batch():
    session = object.__new__(TensorRTSession)  # with no GPU there is no other
    session._input = np.zeros((1, 4, 6, 3), np.uint8)
    for run in (session.run, session.run_apart):
        with pytest.raises(UsageError, match="one image at a time, 1x4x6x3, not 2x4x6x3"):
            run(np.zeros((2, 4, 6, 3), np.uint8))


def test_families():
    with pytest.raises(UsageError, match="Unknown TensorRT family 'trt'"):
        use_family("trt")
    try:
        import tensorrt  # noqa: F401
    except ImportError:
        with pytest.raises(MissingError, match="pip install tensorrt"):
            use_family("tensorrt")


def layer(name, kind, datatype, result=None):
    """As TensorRT's engine inspector writes it."""
    return {
        "Name": name,
        "LayerType": kind,
        "Inputs": [{"Name": "x", "Format/Datatype": datatype}],
        "Outputs": [{"Name": "y", "Format/Datatype": result or datatype}],
    }


FP16, FP32 = "Channel major FP16 format where channel % 8 == 0", "Row major linear FP32"
