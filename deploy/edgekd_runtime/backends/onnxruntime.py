"""ONNX Runtime on the CPU, on CUDA, or through its TensorRT provider."""

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import EdgeKDError, MissingError

_CPU = "CPUExecutionProvider"
_GPU = "pip install onnxruntime-gpu (not beside onnxruntime) on a machine with an NVIDIA GPU"
_INSTALL = {
    _CPU: "pip install onnxruntime",
    "CUDAExecutionProvider": _GPU,
    "TensorrtExecutionProvider": f"{_GPU} and TensorRT",
}


def require(provider: str) -> str:
    """Version of ONNX Runtime.

    Raises:
        MissingError: If it, or the execution provider, is not here.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingError(f"ONNX Runtime is not installed: {_INSTALL[provider]}.") from error
    if provider not in onnxruntime.get_available_providers():
        raise MissingError(f"ONNX Runtime here has no {provider}: {_INSTALL[provider]}.")
    return str(onnxruntime.__version__)


def placements(session: Any, feed: dict[str, NDArray[Any]]) -> dict[str, Counter[str]]:
    """Run a profiled session once and end its profile: execution provider → how many nodes of each operator it ran."""
    session.run(None, feed)
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ran = {(event["name"], event["args"]["provider"], event["args"]["op_name"]) for event in events if "provider" in event.get("args", {})}
    found: dict[str, Counter[str]] = {}
    for _, provider, operator in sorted(ran):
        found.setdefault(provider, Counter())[operator] += 1
    return found


def cpu_note(placed: dict[str, Counter[str]]) -> tuple[str, ...]:
    """What to say of a session on a GPU that left nodes to the CPU, which it does without a word."""
    left, nodes = placed.get(_CPU, Counter()), sum(each.total() for each in placed.values())
    operators = ", ".join(f"{count} {name}" for name, count in left.most_common())
    return (f"{left.total()} of its {nodes} nodes ran on the CPU ({operators}); the copies in between are in its time.",) if left else ()


class OnnxRuntimeSession(Session):
    """One ONNX Runtime session on one execution provider, which is never silently replaced by another."""

    def __init__(self, model_file: Path, artifact: Artifact, threads: int, provider: str, backend: str) -> None:
        self.artifact, self.backend, self.version = artifact, backend, require(provider)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory() as folder:
            if provider != _CPU:  # Not run here: it needs a GPU. A profile that has ended costs nothing more
                options.enable_profiling, options.profile_file_prefix = True, f"{folder}/nodes"
            self._open(model_file, options, provider)
            if provider != _CPU:
                self.notes = cpu_note(placements(self._session, {self._input: np.zeros((1, *artifact.size, 3), np.uint8)}))

    def _open(self, model_file: Path, options: Any, provider: str) -> None:
        import onnxruntime

        try:
            self._session = onnxruntime.InferenceSession(str(model_file), options, providers=[provider])
        except Exception as error:  # its exceptions share no public base class
            raise EdgeKDError(f"ONNX Runtime can't load {model_file}: {str(error).splitlines()[0]}") from error
        if self._session.get_providers()[0] != provider:
            raise MissingError(f"ONNX Runtime fell back from {provider} to {self._session.get_providers()[0]}: {_INSTALL[provider]}.")
        self._input = self._session.get_inputs()[0].name

    def run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        return self._session.run(None, {self._input: image})[0]
