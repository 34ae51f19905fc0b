"""ONNX Runtime on the CPU, on CUDA, or through its TensorRT provider."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import EdgeKDError, MissingError

_GPU = "pip install onnxruntime-gpu (not beside onnxruntime) on a machine with an NVIDIA GPU"
_INSTALL = {
    "CPUExecutionProvider": "pip install onnxruntime",
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


class OnnxRuntimeSession(Session):
    """One ONNX Runtime session on one execution provider, which is never silently replaced by another."""

    def __init__(self, model_file: Path, artifact: Artifact, threads: int, provider: str, backend: str) -> None:
        self.artifact, self.backend, self.version = artifact, backend, require(provider)
        import onnxruntime

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

    def run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        return self._session.run(None, {self._input: image})[0]
