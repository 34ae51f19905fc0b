"""TensorRT engines. Not run here: no GPU was at hand; the tests run it on a made-up TensorRT and a made-up CUDA."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime import tf32
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.latency import Parts
from edgekd_runtime.trt import host_code
from edgekd_runtime.trt.api import FAMILIES, trt, use_family
from edgekd_runtime.trt.cuda import CaptureError, gpu_description, open_cuda
from edgekd_runtime.trt.engine import deserialise, rebuild_command, require_fitting_engine
from edgekd_runtime.trt.inspected import engine_layers, require_engine_precision
from edgekd_runtime.trt.runtime_cache import RuntimeCache
from edgekd_runtime.trt.steps import StepTimer


def require(family: str) -> str:
    """Version of a TensorRT family.

    Raises:
        MissingError: If it is not installed, no GPU can be used here, or the family does not run on it.
    """
    version = use_family(family)
    if why := FAMILIES[family].refusal(gpu_description()):
        raise MissingError(f"{family} {version} is installed, but {why}.")
    return version


class TensorRTSession(Session):
    """One engine with one stream: pinned buffers on the host, and the whole step, copies included, as a CUDA graph."""

    def __init__(self, model_file: Path, artifact: Artifact, threads: int) -> None:
        family = str(artifact.engine.get("family", "tensorrt"))
        version = require(family)
        require_fitting_engine(model_file, artifact, version, gpu_description())
        options = artifact.engine["options"]
        self.artifact, self.backend = artifact, family
        self.version = version + tf32.words(tf32.is_on() and not options.get("no_tf32", False))
        self._cuda, self._cache = open_cuda(), None
        try:
            self._loaded = _load(model_file, artifact)
            self.engine = self._loaded.engine
            self.notes = require_engine_precision(engine_layers(self.engine), artifact)
            self._cache = RuntimeCache(self.engine, artifact.sha256) if FAMILIES[family].runtime_cache else None
            self._context = self._cache.context(self.engine) if self._cache else self.engine.create_execution_context()
            self._prepare(family)
            if self._cache:
                self._cache.save()
        except BaseException:
            self._cuda.close()
            raise

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

        def execute() -> None:
            if not self._context.execute_async_v3(self._cuda.stream):
                raise EdgeKDError(f"{family} failed to run {self.artifact.name}.")

        steps: dict[str, Callable[[], object]] = {
            "h2d": lambda: self._cuda.upload(self._addresses[entry], self._input),
            "compute": execute,
            "d2h": lambda: self._cuda.download(self._output, self._addresses[result]),
        }

        def launch() -> None:
            for step in steps.values():
                step()

        launch()  # the first run sets up what a graph can't record
        self._cuda.synchronise()
        try:
            self._require_capturable()
            self._launch = self._cuda.capture(launch)
            # a graph of its own, so that the time to hand it over is of the same kind as the whole frame's
            steps["compute"] = self._cuda.capture(execute)
        except CaptureError as error:
            self._launch = launch
            self.notes += (f"it runs without a CUDA graph ({str(error).rstrip('.')}), so the host launches each of its kernels.",)
            launch()  # what failed in the capture must not be the state that is timed
            self._cuda.synchronise()
        self._timer = StepTimer(self._cuda, steps)

    def _require_capturable(self) -> None:
        ask = getattr(self._context, "is_stream_capturable", None)  # TensorRT for RTX 1.7
        if ask is not None and not ask(self._cuda.stream):
            raise CaptureError("TensorRT says that it can't be captured")

    def run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        self._take(image)
        self._launch()
        self._cuda.synchronise()
        return self._output.copy()

    def run_apart(self, image: NDArray[np.uint8]) -> Parts:
        self._take(image)
        return self._timer.run()

    def _take(self, image: NDArray[np.uint8]) -> None:
        if image.shape != self._input.shape:
            one, given = ("x".join(map(str, array.shape)) for array in (self._input, image))
            raise UsageError(f"A TensorRT session runs one image at a time, {one}, not {given}; leave --batch out for engines.")
        np.copyto(self._input, image)

    def close(self) -> None:
        self._cuda.close()


def _load(model_file: Path, artifact: Artifact) -> Any:
    if artifact.engine["options"].get("version_compatible") and not host_code.is_allowed():
        raise UsageError(
            f"{model_file} is version-compatible, so it brings code that runs on this machine: if you trust where it comes from, "
            f"add {host_code.FLAG}, or set {host_code.SWITCH}=1."
        )
    try:
        return deserialise(model_file.read_bytes(), host_code=host_code.is_allowed())
    except EdgeKDError as error:
        again = rebuild_command(artifact, model_file.parent)
        raise EdgeKDError(f"TensorRT can't load {model_file} ({str(error).rstrip('.')}); build it again here: {again}.") from error
