"""Engines' sessions and the CUDA under them, on a made-up CUDA and TensorRT (`made_up.py`); `benchmarks/gpu` runs the real ones."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgekd_runtime.artifact import Artifact, load_artifact
from edgekd_runtime.backends import open_session, usable_backends
from edgekd_runtime.check import check_machine
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.cli import main
from edgekd_runtime.errors import EdgeKDError, MissingError
from edgekd_runtime.files import sha256, write_image
from edgekd_runtime.trt import bindings, host_code
from edgekd_runtime.trt.api import FAMILIES, use_family
from edgekd_runtime.trt.build import BuildOptions, build_engine
from edgekd_runtime.trt.cuda import CaptureError, gpu_description, no_gpu_reason, open_cuda
from edgekd_runtime.trt.engine import require_fitting_engine
from edgekd_runtime.trt.runtime_cache import cache_file
from tests.runtime.made_up import Engine, install_cuda, install_tensorrt

SIZE = (4, 6)
HERE = {"name": "Made Up", "compute_capability": "8.6", "uuid": "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"}


@pytest.fixture
def cuda(monkeypatch):
    return install_cuda(monkeypatch)


def plan(folder, family="tensorrt", version="10.3.0", gpu=HERE, **options):
    """An engine's file with its sidecar."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.engine").write_bytes(b"plan")
    classes, digest = ClassSet(tuple("ab"), default_palette(2)), sha256(folder / "model.engine")
    engine = {
        "family": family,
        "version": version,
        "gpu": gpu,
        "options": {"version_compatible": False, "hardware_compatible": False, **options},
    }
    Artifact("m", "m", "none", SIZE, "classes", "fp32", classes, (0.5,) * 3, (0.5,) * 3, 18, digest, "", engine=engine).save(folder)
    return folder / "model.engine"


def image():
    return np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3)).astype(np.uint8)


def runs(session):
    return np.array_equal(session.run(image()), image().sum(-1) % 256)


def test_a_session_replays_graphs_and_its_enqueue_is_a_graphs_too(cuda, monkeypatch, tmp_path):
    install_tensorrt(monkeypatch, Engine(cuda))
    with open_session(plan(tmp_path)) as session:
        assert runs(session) and cuda.launched == 1 and session.notes == () and session.version == "10.3.0 (TF32 on)"
        parts = session.run_apart(image())
        assert cuda.launched == 2 and set(parts) == {"h2d", "compute", "d2h", "enqueue"} and parts["compute"] == pytest.approx(1.5e-3)
    assert not cuda.live
    with open_session(plan(tmp_path, no_tf32=True)) as session:
        assert session.version == "10.3.0 (TF32 off)"


@pytest.mark.parametrize("how", [{"captures": False}, {"capturable": False}])
def test_what_cant_be_captured_runs_without_a_graph_and_says_so(cuda, monkeypatch, tmp_path, how):
    install_tensorrt(monkeypatch, Engine(cuda, **how))
    for _ in range(2):  # the second is what an unfinished capture would break
        with open_session(plan(tmp_path)) as session:
            assert runs(session) and session.run_apart(image())["enqueue"] > 0
            assert cuda.launched == 0 and cuda.capturing is None
            (said,) = session.notes
            assert said.startswith("it runs without a CUDA graph (")
    assert not cuda.live


def test_a_capture_that_raises_leaves_the_stream_usable(cuda):
    stream = open_cuda()

    def fail():
        raise ZeroDivisionError("in the middle")

    for launch, reason in (
        (fail, "in the middle"),
        (stream.synchronise, "cudaErrorStreamCaptureUnsupported"),
        (lambda: stream.device(8), "cudaErrorStreamCaptureUnsupported"),
    ):
        with pytest.raises(CaptureError, match=reason):
            stream.capture(launch)
        assert cuda.capturing is None
    stream.capture(lambda: None)()
    assert cuda.launched == 1
    cuda.instantiates = False
    with pytest.raises(CaptureError, match="cudaErrorMemoryAllocation"):
        stream.capture(lambda: None)
    stream.close()
    assert not cuda.live


def test_opened_and_closed_200_times(cuda, monkeypatch, tmp_path):
    install_tensorrt(monkeypatch, Engine(cuda))
    file = plan(tmp_path)
    for _ in range(200):
        open_session(file).close()
    assert not cuda.live


def test_a_session_that_fails_frees_what_it_had(cuda, monkeypatch, tmp_path):
    engine = Engine(cuda)
    install_tensorrt(monkeypatch, engine)
    monkeypatch.setattr(engine, "create_execution_context", lambda: None)
    with pytest.raises(AttributeError):
        open_session(plan(tmp_path))
    assert not cuda.live


def test_one_handle_that_cant_be_freed_keeps_no_other(cuda):
    def refuse(address):
        return (cuda.cudaError_t.cudaErrorIllegalState,)

    refuse.__name__, cuda.cudaFree = "cudaFree", refuse
    stream = open_cuda()
    stream.event(), stream.device(8)
    with pytest.raises(EdgeKDError, match="cudaFree failed"):
        stream.close()
    assert len(cuda.live) == 1


@pytest.mark.parametrize("what", ["load", "build"])
def test_tensorrts_reason_reaches_the_user(cuda, monkeypatch, tmp_path, what):
    install_tensorrt(monkeypatch, None, fault="CUDA initialization failure with error: 35")
    file = plan(tmp_path)
    use_family("tensorrt")
    with pytest.raises(EdgeKDError, match="TensorRT can't start here: CUDA initialization failure with error: 35"):
        build_engine(file, load_artifact(file), BuildOptions()) if what == "build" else open_session(file)


def test_the_reason_for_an_engine_that_cant_be_loaded(cuda, monkeypatch, tmp_path):
    install_tensorrt(monkeypatch, None)
    with pytest.raises(EdgeKDError, match=r"can't load .*model.engine \(.*not compatible with this version\); build it again here: python"):
        open_session(plan(tmp_path))
    assert not cuda.live


def test_the_driver_is_missing(monkeypatch):
    install_cuda(monkeypatch, driver=0)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    assert no_gpu_reason() == "No usable NVIDIA GPU here: there is no NVIDIA driver here; install it"


def test_the_driver_is_older_than_the_bindings(monkeypatch):
    install_cuda(monkeypatch, driver=12060)
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(
        MissingError, match=r"driver is for CUDA 12\.6, cuda-bindings here for 13\.5 \(error 35\); pip install 'cuda-bindings<13'"
    ):
        open_cuda()


def test_pycuda_takes_over_where_the_bindings_dont_fit_the_driver(monkeypatch):
    """As on a JetPack 6 with cuda-bindings 13 beside its pycuda."""
    install_cuda(monkeypatch, driver=12060)
    gpu = SimpleNamespace(name=lambda: "Orin", compute_capability=lambda: (8, 7))
    gpu.retain_primary_context = lambda: SimpleNamespace(push=lambda: None, pop=lambda: None)
    driver = SimpleNamespace(init=lambda: None, Device=lambda index: gpu, Stream=lambda: SimpleNamespace(handle=7))
    package = SimpleNamespace(driver=driver)
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    stream = open_cuda()
    assert stream.stream == 7 and gpu_description() == {"name": "Orin", "compute_capability": "8.7"}
    with pytest.raises(CaptureError, match="no CUDA graphs"):
        stream.capture(lambda: None)


def test_the_bindings_real_wheel_has_every_function_that_is_called():
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed here")
    called = set(re.findall(r"(?:_rt|runtime)\.(cuda\w+)", Path(bindings.__file__).read_text(encoding="utf-8")))
    assert len(called) > 20 and all(hasattr(runtime, name) for name in called)
    if no_gpu_reason() is not None:
        with pytest.raises(MissingError, match="driver"):
            bindings.CudaBindings()


def test_rtx_keeps_the_kernels_that_it_compiled(cuda, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    engine = Engine(cuda)
    install_tensorrt(monkeypatch, engine, "tensorrt_rtx")
    file = plan(tmp_path, "tensorrt-rtx")
    for _ in range(2):
        with open_session(file) as session:
            assert runs(session)
    assert [cache.loaded for cache in engine.caches] == [[], [b"kernels"]]
    assert cache_file(sha256(file)).read_bytes() == b"kernels"


def test_rtx_says_at_once_that_it_does_not_run_on_a_data_centre_gpu(cuda, monkeypatch, tmp_path):
    install_tensorrt(monkeypatch, Engine(cuda), "tensorrt_rtx")
    monkeypatch.setattr(type(open_cuda()), "description", lambda self: {"name": "H100", "compute_capability": "9.0"})
    with pytest.raises(MissingError, match=r"but it does not run on H100 \(compute capability 9\.0; it is for 7\.5, 8\.6"):
        open_session(plan(tmp_path, "tensorrt-rtx"))
    assert not usable_backends()["tensorrt-rtx"][0]
    detail = check_machine()["builders"]["tensorrt-rtx"]["detail"]
    assert detail.startswith("10.3.0, for other machines: it does not run on H100")


def test_engines_of_rtx_are_portable_from_ampere_on(tmp_path):
    file = plan(tmp_path, "tensorrt-rtx", gpu={"name": "A10", "compute_capability": "8.6"})
    artifact = load_artifact(file)
    for capability in ("8.6", "8.9", "12.0"):
        require_fitting_engine(file, artifact, "10.3.0", {"name": "other", "compute_capability": capability})
    with pytest.raises(EdgeKDError, match="was built for A10, here is T4"):
        require_fitting_engine(file, artifact, "10.3.0", {"name": "T4", "compute_capability": "7.5"})
    with pytest.raises(EdgeKDError, match="was built for A10, here is Ada"):
        require_fitting_engine(
            file, load_artifact(plan(tmp_path, gpu=artifact.engine["gpu"])), "10.3.0", {"name": "Ada", "compute_capability": "8.9"}
        )
    assert FAMILIES["tensorrt"].refusal({"compute_capability": "9.0"}) == "" == FAMILIES["tensorrt-rtx"].refusal({})


@pytest.mark.parametrize(
    ("options", "switch", "allowed"),
    [
        ({}, None, False),
        ({"version_compatible": True}, None, None),
        ({"version_compatible": True, "allow_host_code": True, "engine_host_code_allowed": True}, None, None),
        ({"version_compatible": False, "allow_host_code": True}, None, False),  # a sidecar that lies: then TensorRT itself refuses
        ({"version_compatible": True}, "--allow-host-code", True),
        ({"version_compatible": True}, "EDGEKD_ENGINE_HOST_CODE", True),
    ],
)
def test_code_that_an_engine_brings_runs_if_the_user_allows_it_and_no_sidecar_can(
    options, switch, allowed, cuda, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv(host_code.SWITCH, "")  # put back at the end, whatever the flag sets
    tensorrt = install_tensorrt(monkeypatch, Engine(cuda))
    file = plan(tmp_path / "model", **options)
    (tmp_path / "in").mkdir()
    write_image(tmp_path / "in/a.png", np.zeros((8, 8, 3), np.uint8))
    if switch == host_code.SWITCH:
        monkeypatch.setenv(switch, "1")
    flags = ["--allow-host-code"] if switch == "--allow-host-code" else []
    code = main(["predict", str(tmp_path / "in"), "--model", str(file), "--out", str(tmp_path / "out"), *flags])
    assert getattr(tensorrt, "host_code_allowed", None) is allowed
    said = capsys.readouterr().err
    assert code == (2 if allowed is None else 0), said
    assert ("if you trust where it comes from, add --allow-host-code, or set EDGEKD_ENGINE_HOST_CODE=1" in said) == (allowed is None)
