"""ONNX Runtime's providers for GPUs, on a module that answers as onnxruntime-gpu 1.31.1 did on a machine without a GPU."""

import json
import sys

import pytest

from edgekd_runtime import tf32
from edgekd_runtime.backends import open_session, usable_backends
from edgekd_runtime.backends.providers import CPU, CUDA, NO_DRIVER, TENSORRT, require_loadable
from edgekd_runtime.errors import EdgeKDError, MissingError
from tests.runtime.models import write_model

GPU_WHEEL = """
import json, os, sys
__version__ = "1.31.1"
CALLS = []
def get_available_providers():
    return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
def set_default_logger_severity(level):
    pass
def preload_dlls():
    CALLS.append("preload")
    print("Failed to load libcurand.so.10")
class SessionOptions:
    profile_file_prefix = None
class InferenceSession:
    def __init__(self, model, options=None, providers=(), enable_fallback=1):
        CALLS.append(dict(providers=providers, fallback=enable_fallback))
        self.asked, self.options = providers[0][0], options
        if "SAID" in os.environ:
            sys.stderr.write(os.environ["SAID"])
            if self.asked.startswith("Tensorrt"):
                raise RuntimeError("Please install TensorRT libraries as mentioned in the GPU requirements page")
        if "DIES" in os.environ:
            os.abort()
    def get_providers(self):
        return ["CPUExecutionProvider"] if "SAID" in os.environ else [self.asked, "CPUExecutionProvider"]
    def get_inputs(self):
        return [type("Input", (), {"name": "x"})]
    def run(self, names, feed):
        return [feed["x"] + feed["x"]]
    def end_profiling(self):
        with open(self.options.profile_file_prefix + ".json", "w") as file:
            json.dump([{"name": "n", "args": {"provider": self.asked, "op_name": "Add"}}], file)
        return file.name
"""
LACKS = (
    "\x1b[1;31m2026-11-24 08:07:01.917352313 [E:onnxruntime:Default, provider_bridge_ort.cc:2458 operator()] /onnxruntime_src/onnxruntime/"
    "core/session/provider_bridge_ort.cc:2043 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : "
    "Failed to load library /x/onnxruntime/capi/libonnxruntime_providers_cuda.so with error: {}: cannot open shared object file: No such "
    "file or directory\n\x1b[m\n\x1b[0;93m2026-11-24 08:07:01.917402127 [W:onnxruntime:Default, onnxruntime_pybind_state.cc:1295 "
    "CreateExecutionProviderFactoryInstance] Failed to create CUDAExecutionProvider. Require cuDNN 9.* and CUDA 13.*.\x1b[m\n"
)
NO_DEVICE = (
    "[E:onnxruntime:, inference_session.cc:1 operator()] Exception during initialization: CUDA failure 100: no CUDA-capable device is "
    "detected ; GPU=0 ; hostname=x ; file=cuda_execution_provider.cc\n"
)


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """The module in place of ONNX Runtime, here and in processes that start here; gives its calls."""
    (tmp_path / "onnxruntime.py").write_text(GPU_WHEEL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    import onnxruntime

    yield onnxruntime.CALLS
    sys.modules.pop("onnxruntime")


@pytest.mark.parametrize(
    "said, reason",
    [
        (LACKS.format("libcublasLt.so.13"), "libcublasLt.so.13: cannot open shared object file"),
        (LACKS.format("libcuda.so.1"), NO_DRIVER),
        (NO_DEVICE, "no CUDA-capable device is detected"),
        ("something else\n", "something else"),
        ("", "it gave no reason"),
    ],
)
def test_a_provider_that_was_compiled_in_and_does_not_load_is_not_usable(wheel, monkeypatch, said, reason):
    monkeypatch.setenv("SAID", said)
    usable, words = usable_backends()["onnxruntime-cuda"]
    assert not usable and f"({reason})" in words and "onnxruntime-gpu[cuda,cudnn]" in words


def test_a_provider_that_loads_is_usable_and_one_that_crashes_is_not(wheel, monkeypatch):
    assert require_loadable(CUDA) == require_loadable(CPU) == "1.31.1"
    monkeypatch.setenv("DIES", "1")
    with pytest.raises(MissingError, match="ended its process with signal 6"):
        require_loadable(TENSORRT)


@pytest.mark.parametrize("backend", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_a_session_that_fell_back_says_why(wheel, monkeypatch, tmp_path, capfd, backend):
    monkeypatch.setenv("SAID", LACKS.format("libnvinfer.so.10"))
    with pytest.raises(MissingError, match=r"libnvinfer\.so\.10: cannot open"):
        open_session(write_model(tmp_path / "model"), backend)
    assert capfd.readouterr().out == ""  # where --json puts its document


def test_a_session_loads_the_wheels_libraries_first_and_never_falls_back(wheel, tmp_path):
    with open_session(write_model(tmp_path / "model"), "onnxruntime-cuda") as session:
        assert session.version == "1.31.1 (TF32 on)" and session.notes == ()
    assert wheel == ["preload", {"providers": [(CUDA, {"use_tf32": 1})], "fallback": 0}]


def test_tensorrt_has_cuda_behind_it_and_keeps_its_engines_by_model(wheel, tmp_path, monkeypatch):
    model = write_model(tmp_path / "model")
    open_session(model, "onnxruntime-tensorrt").close()
    (_, settings), behind = wheel[-1]["providers"]
    assert behind == CUDA and settings["trt_engine_cache_enable"] and not settings["trt_fp16_enable"]
    digest = json.loads((model.parent / "model.json").read_text())["sha256"]
    assert settings["trt_engine_cache_path"] == str(tmp_path / f"cache/edgekd/onnxruntime-tensorrt/{digest[:16]}-1.31.1")


def test_without_tf32(wheel, tmp_path, monkeypatch):
    monkeypatch.delenv(tf32.SWITCH, raising=False)
    monkeypatch.setenv(tf32.SWITCH, "1")
    tf32.switch_off()
    with open_session(write_model(tmp_path / "model"), "onnxruntime-cuda") as session:
        assert session.version == "1.31.1 (TF32 off)"
    assert wheel[-1]["providers"] == [(CUDA, {"use_tf32": 0})]


def test_the_probe_runs_its_model_on_the_real_library():
    assert require_loadable(CPU)
    from edgekd_runtime.backends.probe import main

    assert main(CPU) == 0


def test_a_model_that_only_the_cpu_takes_is_an_error_of_the_model(wheel, tmp_path, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda self: [CPU])
    with pytest.raises(EdgeKDError, match=r"can't load .*model.onnx: it does not run on CUDA") as raised:
        open_session(write_model(tmp_path / "model"), "onnxruntime-cuda")
    assert not isinstance(raised.value, MissingError)
