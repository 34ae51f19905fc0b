"""Execution providers of ONNX Runtime: what each is opened with, and whether it can be loaded here, not only whether it was compiled in."""

import contextlib
import io
import re
from collections.abc import Mapping
from typing import Any

from edgekd_runtime import tf32
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.errors import MissingError
from edgekd_runtime.files import user_cache
from edgekd_runtime.process import run_module

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
_GPU = "pip install 'onnxruntime-gpu[cuda,cudnn]' (not beside onnxruntime) on a machine with an NVIDIA GPU"
INSTALL = {CPU: "pip install onnxruntime", CUDA: _GPU, TENSORRT: f"{_GPU}, and the TensorRT that it was built for"}
NO_DRIVER = "there is no NVIDIA driver: no libcuda.so.1"
_REASONS = (
    r"error: (?:\S*/)?(\S+: cannot open shared object file)",
    r"((?:cudnn|cublas|cuda)\w*: (?:undefined|version) [^\n]+)",
    r"CUDA (?:failure|error) \d+: ([^;\n]+)",
    r"(?:EP Error|FAIL : )[^\n]*?((?:Please|Failed|no )[^\n]+)",
)
"""Where ONNX Runtime says why a provider can't be loaded, the plainest first."""


def require(provider: str) -> str:
    """Version of ONNX Runtime.

    Raises:
        MissingError: If it is not here, or was compiled without the execution provider.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingError(f"ONNX Runtime is not installed: {INSTALL[provider]}.") from error
    if provider not in onnxruntime.get_available_providers():
        raise MissingError(f"ONNX Runtime here has no {provider}: {INSTALL[provider]}.")
    return str(onnxruntime.__version__)


def require_loadable(provider: str) -> str:
    """`require`, and that a model runs on the provider: it is compiled into the wheel whether or not its libraries and a GPU are here.

    Raises:
        MissingError: With what it lacks.
    """
    version = require(provider)
    if provider != CPU and (reason := why_not_loaded(provider)) is not None:
        raise MissingError(unusable(provider, reason))
    return version


def unusable(provider: str, reason: str) -> str:
    """The sentence of a provider that is there and can't be used."""
    return f"ONNX Runtime can't use its {provider} here ({reason}): {INSTALL[provider]}."


def why_not_loaded(provider: str) -> str | None:
    """What a provider lacks, in ONNX Runtime's words; None if a model runs on it. Tried in a process of its own, which it may end."""
    done = run_module("edgekd_runtime.backends.probe", [provider])
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"it ended its process with signal {-done.returncode}"
    said = done.stdout + done.stderr
    found = next((match[1] for pattern in _REASONS if (match := re.search(pattern, said))), None)
    last = next((line for line in reversed(said.splitlines()) if line.strip("\x1b[m ")), "it gave no reason")
    return NO_DRIVER if "libcuda.so" in (found or "") else (found or last).strip(" .")


def preload() -> None:
    """Load CUDA and cuDNN from their wheels, which no loader's path names; nothing where ONNX Runtime is older or has no CUDA.

    Every process that opens a session needs it; in one with PyTorch the libraries are there already.
    """
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find; what matters of that fails later, with a reason
            onnxruntime.preload_dlls()


def open_inference(model: str | bytes, options: Any, provider: str, given: Mapping[str, Any] | None = None, *, quiet: bool = True) -> Any:
    """An ONNX Runtime session on a provider, or on what it silently fell back to: its ``get_providers`` says which.

    Args:
        model: A file, or a model's bytes.
        options: ``SessionOptions``, or None.
        provider: The execution provider; TensorRT's has CUDA's behind it, for the nodes that it does not take.
        given: The provider's `settings`.
        quiet: Keep ONNX Runtime from saying why a provider failed.
    """
    import onnxruntime

    if provider != CPU:
        preload()
        onnxruntime.set_default_logger_severity(4 if quiet else 2)
    chain = [(provider, dict(given or {})), *([CUDA] if provider == TENSORRT else [])]
    return onnxruntime.InferenceSession(model, options, providers=chain, enable_fallback=0)


def settings(provider: str, artifact: Artifact, version: str) -> dict[str, Any]:
    """What a provider is opened with for a model.

    TensorRT's engines are kept, in a folder for the model's hash and the version, because their names tell neither weights nor version.
    """
    if provider == CUDA:
        return {"use_tf32": int(tf32.is_on())}
    if provider != TENSORRT:
        return {}
    folder = user_cache() / "onnxruntime-tensorrt" / f"{artifact.sha256[:16]}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": "fp16" in artifact.precision,
        "trt_int8_enable": "int8" in artifact.precision,
    }
