"""ONNX Runtime, on the CPU or on CUDA."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import EdgeKDError, MissingError

_INSTALL = {
    "CPUExecutionProvider": "pip install onnxruntime",
    "CUDAExecutionProvider": "pip install onnxruntime-gpu (not beside onnxruntime) on a machine with an NVIDIA GPU",
}


class OnnxRuntimeSession(Session):
    """One ONNX Runtime session on one execution provider, which is never silently replaced by another."""

    def __init__(self, model_file: Path, artifact: Artifact, threads: int, provider: str, backend: str) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingError(f"ONNX Runtime is not installed: {_INSTALL[provider]}.") from error
        if provider not in onnxruntime.get_available_providers():
            raise MissingError(f"ONNX Runtime here has no {provider}: {_INSTALL[provider]}.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(model_file), options, providers=[provider])
        except Exception as error:  # its exceptions share no public base class
            raise EdgeKDError(f"ONNX Runtime can't load {model_file}: {str(error).splitlines()[0]}") from error
        if self._session.get_providers()[0] != provider:
            raise MissingError(f"ONNX Runtime fell back from {provider} to {self._session.get_providers()[0]}: {_INSTALL[provider]}.")
        self._input = self._session.get_inputs()[0].name
        self.artifact, self.backend, self.version = artifact, backend, onnxruntime.__version__

    @classmethod
    def cpu(cls, model_file: Path, artifact: Artifact, threads: int) -> "OnnxRuntimeSession":
        """On the CPU."""
        return cls(model_file, artifact, threads, "CPUExecutionProvider", "onnxruntime-cpu")

    @classmethod
    def cuda(cls, model_file: Path, artifact: Artifact, threads: int) -> "OnnxRuntimeSession":
        """On an NVIDIA GPU."""
        return cls(model_file, artifact, threads, "CUDAExecutionProvider", "onnxruntime-cuda")

    def run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        return self._session.run(None, {self._input: image})[0]
