"""TensorRT engines. Not run here: no GPU was at hand; `benchmarks/gpu.sh` runs it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.trt.api import trt, use_family
from edgekd_runtime.trt.cuda import gpu_description, open_cuda
from edgekd_runtime.trt.engine import require_fitting_engine
from edgekd_runtime.trt.layers import engine_layers, require_engine_precision


def require(family: str) -> str:
    """Version of a TensorRT family.

    Raises:
        MissingError: If it is not installed, or no GPU can be used here.
    """
    version = use_family(family)
    open_cuda().close()
    return version


class TensorRTSession(Session):
    """One engine with one stream: pinned buffers on the host, and the whole step, copies included, as a CUDA graph."""

    def __init__(self, model_file: Path, artifact: Artifact, threads: int) -> None:
        family = str(artifact.engine.get("family", "tensorrt"))
        version = require(family)
        require_fitting_engine(model_file, artifact, version, gpu_description())
        self._cuda = open_cuda()
        self._logger = trt.Logger(trt.Logger.ERROR)
        self._runtime = trt.Runtime(self._logger)
        # such a plan carries code of its own; this one is ours, by its hash
        self._runtime.engine_host_code_allowed = bool(artifact.engine["options"]["version_compatible"])
        engine = self._runtime.deserialize_cuda_engine(model_file.read_bytes())
        if engine is None:
            raise EdgeKDError(f"TensorRT can't load {model_file}; build it again with `edgekd export RUN --trt`.")
        require_engine_precision(engine_layers(engine), artifact)
        self.engine, self._context = engine, engine.create_execution_context()
        self.artifact, self.backend, self.version = artifact, family, version
        self._prepare(family)

    def _prepare(self, family: str) -> None:
        names = [self.engine.get_tensor_name(index) for index in range(self.engine.num_io_tensors)]
        entry = next(name for name in names if self.engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT)
        result = next(name for name in names if name != entry)
        self._context.set_input_shape(entry, (1, *self.artifact.size, 3))
        self._input = self._cuda.pinned((1, *self.artifact.size, 3), np.uint8)
        shape = self._context.get_tensor_shape(result)
        self._output = self._cuda.pinned(tuple(shape[axis] for axis in range(len(shape))), trt.nptype(self.engine.get_tensor_dtype(result)))
        self._addresses = {name: self._cuda.device(host.nbytes) for name, host in ((entry, self._input), (result, self._output))}
        for name, address in self._addresses.items():
            self._context.set_tensor_address(name, address)

        def launch() -> None:
            self._cuda.upload(self._addresses[entry], self._input)
            if not self._context.execute_async_v3(self._cuda.stream):
                raise EdgeKDError(f"{family} failed to run {self.artifact.name}.")
            self._cuda.download(self._output, self._addresses[result])

        launch()  # the first run sets up what a graph can't record
        self._cuda.synchronise()
        self._launch = self._cuda.capture(launch)

    def run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        np.copyto(self._input, image)
        self._launch()
        self._cuda.synchronise()
        return self._output.copy()

    def close(self) -> None:
        self._cuda.close()
