"""ONNX Runtime on the CPU, on CUDA, or through its TensorRT provider."""

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime import tf32
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.backends.providers import CPU, CUDA, TENSORRT, open_inference, require, settings, unusable, why_not_loaded
from edgekd_runtime.errors import EdgeKDError, MissingError

_NAMES = {CPU: "the CPU", CUDA: "CUDA", TENSORRT: "TensorRT"}


def placements(session: Any, feed: dict[str, NDArray[Any]]) -> dict[str, Counter[str]]:
    """Run a profiled session once and end its profile: execution provider → how many nodes of each operator it ran."""
    session.run(None, feed)
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ran = {(event["name"], event["args"]["provider"], event["args"]["op_name"]) for event in events if "provider" in event.get("args", {})}
    found: dict[str, Counter[str]] = {}
    for _, provider, operator in sorted(ran):
        found.setdefault(provider, Counter())[operator] += 1
    return found


def placement_notes(placed: dict[str, Counter[str]], provider: str) -> tuple[str, ...]:
    """What to say of a session that left nodes to the CPU, or to CUDA where TensorRT was asked for, which it does without a word."""
    nodes = sum(each.total() for each in placed.values())
    return tuple(
        f"{left.total()} of its {nodes} nodes ran on {_NAMES.get(other, other)} "
        f"({', '.join(f'{count} {name}' for name, count in left.most_common())})"
        + ("; the copies in between are in its time." if other == CPU else ".")
        for other, left in placed.items()
        if other != provider and left
    )


class OnnxRuntimeSession(Session):
    """One ONNX Runtime session on one execution provider, which is never silently replaced by another."""

    def __init__(self, model_file: Path, artifact: Artifact, threads: int, provider: str, backend: str) -> None:
        self.artifact, self.backend, version = artifact, backend, require(provider)
        self.version = version if provider == CPU else version + tf32.words()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory() as folder:
            if provider != CPU:  # Not run here: it needs a GPU. A profile that has ended costs nothing more
                options.enable_profiling, options.profile_file_prefix = True, f"{folder}/nodes"
            self._open(model_file, options, provider, settings(provider, artifact, version))
            if provider != CPU:
                placed = placements(self._session, {self._input: np.zeros((1, *artifact.size, 3), np.uint8)})
                self.notes = placement_notes(placed, provider)

    def _open(self, model_file: Path, options: Any, provider: str, given: dict[str, Any]) -> None:
        fault = None
        try:
            self._session = open_inference(str(model_file), options, provider, given)
        except Exception as error:  # its exceptions share no public base class
            fault = error
        if fault is not None or self._session.get_providers()[0] != provider:
            reason = why_not_loaded(provider) if provider != CPU else None
            if reason is not None:
                raise MissingError(unusable(provider, reason)) from fault
            told = str(fault).splitlines()[0] if fault is not None else f"it does not run on {_NAMES[provider]}, though others do"
            raise EdgeKDError(f"ONNX Runtime can't load {model_file}: {told}") from fault
        self._input = self._session.get_inputs()[0].name

    def run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        return self._session.run(None, {self._input: image})[0]
