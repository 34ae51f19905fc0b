"""Backends run a deployed model. One file each; `BACKENDS` is the list."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgekd_runtime.artifact import CPU, TENSORRT, Artifact, load_artifact
from edgekd_runtime.backends import onnxruntime, openvino, providers, tensorrt
from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.plugins import look_up


@dataclass(frozen=True)
class Backend:
    """How one backend is opened, and whether it can be used here. Heavy libraries are imported when it is.

    Attributes:
        reads: Suffix of the model files that it runs.
        open: (model file, sidecar, CPU threads) → session.
        version: Of the library; raises MissingError where the backend can't be used here.
        program: Module that knows this backend and, run by itself, does what `edgekd_runtime.memory` does.
        target: What it is of the targets that INT8 has a form for; empty where it is none of them.
        unasked: Whether it is measured where no backend is named; not one that first compiles for a minute.
    """

    reads: str
    open: Callable[[Path, Artifact, int], Session]
    version: Callable[[], str]
    program: str = "edgekd_runtime.memory"
    target: str = CPU
    unasked: bool = True


def _onnxruntime(provider: str, name: str, target: str = CPU, unasked: bool = True) -> Backend:
    opened = partial(onnxruntime.OnnxRuntimeSession, provider=provider, backend=name)
    return Backend(".onnx", opened, partial(providers.require_loadable, provider), target=target, unasked=unasked)


BACKENDS: dict[str, Backend] = {
    "onnxruntime-cpu": _onnxruntime("CPUExecutionProvider", "onnxruntime-cpu"),
    "onnxruntime-cuda": _onnxruntime("CUDAExecutionProvider", "onnxruntime-cuda", ""),
    "onnxruntime-tensorrt": _onnxruntime("TensorrtExecutionProvider", "onnxruntime-tensorrt", TENSORRT, unasked=False),
    "openvino": Backend(".onnx", openvino.OpenVINOSession, openvino.require),
    "tensorrt": Backend(".engine", tensorrt.TensorRTSession, partial(tensorrt.require, "tensorrt"), target=TENSORRT),
    "tensorrt-rtx": Backend(".engine", tensorrt.TensorRTSession, partial(tensorrt.require, "tensorrt-rtx"), target=TENSORRT),
}
USUAL = {".onnx": "onnxruntime-cpu"}
"""What runs a file where no backend is named; an engine's sidecar names its own."""
MOST_THREADS = 1024
DESCRIBED: dict[str, Callable[[Path], Artifact]] = {}
"""Suffix → what describes such files, where that is no sidecar: whoever adds backends of its own adds to all three."""


def backend_named(name: str) -> Backend:
    """A backend by its name, or by ``package.module:NAME`` of a `Backend`.

    Raises:
        UsageError: If there is none.
    """
    found = look_up(name, BACKENDS, "backend", "edgekd check")
    if not isinstance(found, Backend):
        raise UsageError(f"{name} is no edgekd_runtime.backends.Backend.")
    BACKENDS[name] = found  # from here on one of them
    return found


def describe(model_file: Path) -> Artifact:
    """What a model file is: its sidecar, checked, for an exported one.

    Raises:
        EdgeKDError: If the sidecar is missing, or the file is not the one that it describes.
    """
    return DESCRIBED.get(model_file.suffix, load_artifact)(model_file)


def usual_backend(model_file: Path, artifact: Artifact) -> str:
    """The backend of a model file where none is asked for."""
    return USUAL.get(model_file.suffix) or str(artifact.engine.get("family", "tensorrt"))


def open_session(model_file: Path, backend: str | None = None, threads: int = 0) -> Session:
    """Load a deployed model; use the result as a context manager.

    Args:
        model_file: ``model.onnx`` or ``model.engine`` with ``model.json`` beside it.
        backend: A key of `BACKENDS`; the file's usual one where absent.
        threads: CPU threads; 0 = the backend's default.

    Raises:
        UsageError: If the backend is unknown or does not read such files, or there are more than `MOST_THREADS`.
        MissingError: If it is not installed or has no device here.
        EdgeKDError: If the model can't be loaded.
    """
    if threads > MOST_THREADS:
        raise UsageError(f"{threads} threads are more than the {MOST_THREADS} that any CPU here has use for; lower --threads.")
    artifact = describe(model_file)
    backend = backend or usual_backend(model_file, artifact)
    found = backend_named(backend)
    if found.reads != model_file.suffix:
        fitting = [name for name, one in BACKENDS.items() if one.reads == model_file.suffix]
        raise UsageError(f"{backend} does not run {model_file}; use {' or '.join(fitting) or 'a model.onnx or model.engine'}.")
    session = found.open(model_file, artifact, threads)
    session.notes += target_note(artifact, backend)
    return session


def made_for(model_file: Path) -> str:
    """The target of a model file, as `Artifact.target`; empty where nothing says it."""
    try:
        return Artifact.load(model_file.parent).target
    except EdgeKDError:
        return ""


def installed() -> list[str]:
    """Backends that can be used here and need not be asked for by name."""
    return [name for name, (usable, _) in usable_backends().items() if usable and BACKENDS[name].unasked]


def target_note(artifact: Artifact, backend: str) -> tuple[str, ...]:
    """What to say of a file on a backend that it is not made for."""
    if artifact.target in ("", BACKENDS[backend].target):
        return ()
    other = BACKENDS[backend].target
    mend = f"; for {other} there is another: edgekd export RUN --precision int8 --target {other}" if other else ""
    return (f"its form of INT8 is for {artifact.target}, which {backend} is not, and may well be slower here than FP32{mend}.",)


def usable_backends() -> dict[str, tuple[bool, str]]:
    """Each backend: whether it can be used here, and its version or what is missing."""
    found = {}
    for name, backend in BACKENDS.items():
        try:
            found[name] = (True, backend.version())
        except MissingError as error:
            found[name] = (False, str(error))
    return found
