"""Backends run a deployed model. One file each; `BACKENDS` is the list."""

from collections.abc import Callable
from pathlib import Path

from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.backends.onnxruntime import OnnxRuntimeSession
from edgekd_runtime.errors import UsageError

BACKENDS: dict[str, Callable[..., Session]] = {
    "onnxruntime-cpu": OnnxRuntimeSession.cpu,
    "onnxruntime-cuda": OnnxRuntimeSession.cuda,
}


def open_session(model_file: Path, backend: str = "onnxruntime-cpu", threads: int = 0) -> Session:
    """Load a deployed model; use the result as a context manager.

    Args:
        model_file: ``model.onnx`` with ``model.json`` beside it.
        backend: A key of `BACKENDS`.
        threads: CPU threads; 0 = the backend's default.

    Raises:
        UsageError: If the backend is unknown.
        MissingError: If it is not installed or has no device here.
        EdgeKDError: If the model can't be loaded.
    """
    if backend not in BACKENDS:
        raise UsageError(f"Unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}.")
    return BACKENDS[backend](model_file, load_artifact(model_file), threads)
