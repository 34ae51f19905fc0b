"""The little of CUDA that running an engine needs, through cuda-bindings or pycuda, whichever is installed.

Not run here: no GPU was at hand. Both forms are small, and `benchmarks/gpu.sh` runs them.
"""

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.errors import EdgeKDError, MissingError
from edgekd_runtime.latency import Parts

INSTALL = "pip install cuda-bindings (12.9 for JetPack 6), or pycuda"


class Cuda(ABC):
    """A stream with buffers. One thread at a time."""

    stream: int

    @abstractmethod
    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Page-locked host memory as an array."""

    @abstractmethod
    def device(self, size: int) -> int:
        """Device memory of `size` bytes; its address."""

    @abstractmethod
    def upload(self, address: int, host: NDArray[Any]) -> None:
        """Copy to the device, on the stream."""

    @abstractmethod
    def download(self, host: NDArray[Any], address: int) -> None:
        """Copy from the device, on the stream."""

    @abstractmethod
    def synchronise(self) -> None:
        """Wait for the stream."""

    @abstractmethod
    def event(self) -> Any:
        """Something that keeps a moment of the device's clock."""

    @abstractmethod
    def record(self, event: Any) -> None:
        """Keep in an event when the stream gets here."""

    @abstractmethod
    def seconds(self, first: Any, last: Any) -> float:
        """Between two recorded events that the stream has passed."""

    @abstractmethod
    def close(self) -> None:
        """Free everything."""

    def capture(self, launch: Any) -> Any:
        """Record what `launch` puts on the stream as a CUDA graph; returns what replays it, or `launch` where that can't be done."""
        return launch


class CudaBindings(Cuda):
    """NVIDIA's own bindings."""

    def __init__(self) -> None:
        from cuda.bindings import runtime

        self._rt = runtime
        self._handle = self._call(runtime.cudaStreamCreate)
        self.stream = int(self._handle)
        self._free: list[tuple[Any, Any]] = [(runtime.cudaStreamDestroy, self._handle)]

    def _call(self, function: Any, *arguments: Any) -> Any:
        error, *results = function(*arguments)
        if error != self._rt.cudaError_t.cudaSuccess:
            raise EdgeKDError(f"CUDA: {function.__name__} failed with {error.name}.")
        return results[0] if results else None

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        import ctypes

        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = self._call(self._rt.cudaMallocHost, size)
        self._free.append((self._rt.cudaFreeHost, address))
        return np.frombuffer((ctypes.c_char * size).from_address(int(address)), dtype).reshape(shape)

    def device(self, size: int) -> int:
        address = self._call(self._rt.cudaMalloc, size)
        self._free.append((self._rt.cudaFree, address))
        return int(address)

    def upload(self, address: int, host: NDArray[Any]) -> None:
        kind = self._rt.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call(self._rt.cudaMemcpyAsync, address, host.ctypes.data, host.nbytes, kind, self._handle)

    def download(self, host: NDArray[Any], address: int) -> None:
        kind = self._rt.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call(self._rt.cudaMemcpyAsync, host.ctypes.data, address, host.nbytes, kind, self._handle)

    def synchronise(self) -> None:
        self._call(self._rt.cudaStreamSynchronize, self._handle)

    def event(self) -> Any:
        event = self._call(self._rt.cudaEventCreate)
        self._free.append((self._rt.cudaEventDestroy, event))
        return event

    def record(self, event: Any) -> None:
        self._call(self._rt.cudaEventRecord, event, self._handle)

    def seconds(self, first: Any, last: Any) -> float:
        return float(self._call(self._rt.cudaEventElapsedTime, first, last)) / 1e3

    def capture(self, launch: Any) -> Any:
        self._call(self._rt.cudaStreamBeginCapture, self._handle, self._rt.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        launch()
        graph = self._call(self._rt.cudaStreamEndCapture, self._handle)
        executable = self._call(self._rt.cudaGraphInstantiate, graph, 0)
        self._free += [(self._rt.cudaGraphDestroy, graph), (self._rt.cudaGraphExecDestroy, executable)]
        return lambda: self._call(self._rt.cudaGraphLaunch, executable, self._handle)

    def close(self) -> None:
        while self._free:
            self._call(*self._free.pop())


class PyCuda(Cuda):
    """pycuda, which has no CUDA graphs."""

    def __init__(self) -> None:
        import pycuda.driver as driver

        driver.init()
        self._driver = driver
        self._context = driver.Device(0).retain_primary_context()
        self._context.push()
        self._stream = driver.Stream()
        self.stream = int(self._stream.handle)
        self._held: list[Any] = []

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        return self._driver.pagelocked_empty(shape, dtype)

    def device(self, size: int) -> int:
        self._held.append(self._driver.mem_alloc(size))
        return int(self._held[-1])

    def upload(self, address: int, host: NDArray[Any]) -> None:
        self._driver.memcpy_htod_async(address, host, self._stream)

    def download(self, host: NDArray[Any], address: int) -> None:
        self._driver.memcpy_dtoh_async(host, address, self._stream)

    def synchronise(self) -> None:
        self._stream.synchronize()

    def event(self) -> Any:
        return self._driver.Event()

    def record(self, event: Any) -> None:
        event.record(self._stream)

    def seconds(self, first: Any, last: Any) -> float:
        return float(first.time_till(last)) / 1e3

    def close(self) -> None:
        while self._held:
            self._held.pop().free()
        self._context.pop()


class StepTimer:
    """Runs steps that follow each other on a stream, each between two events.

    Args:
        cuda: The stream.
        steps: Name → what puts it on the stream; one is ``compute``.
    """

    def __init__(self, cuda: Cuda, steps: Mapping[str, Callable[[], object]]) -> None:
        self._cuda, self._steps = cuda, steps
        self._events = [cuda.event() for _ in range(len(steps) + 1)]

    def run(self) -> Parts:
        """Seconds of each step on the device, and of ``enqueue``: the host's, for ``compute``."""
        enqueue = 0.0
        self._cuda.record(self._events[0])
        for (name, step), event in zip(self._steps.items(), self._events[1:], strict=True):
            begin = time.perf_counter()
            step()
            if name == "compute":
                enqueue = time.perf_counter() - begin
            self._cuda.record(event)
        self._cuda.synchronise()
        spans = (self._cuda.seconds(first, last) for first, last in itertools.pairwise(self._events))
        return Parts(zip(self._steps, spans, strict=True), enqueue=enqueue)


def open_cuda() -> Cuda:
    """A stream on the first GPU.

    Raises:
        MissingError: If neither binding is installed, or there is no usable GPU.
    """
    faults = []
    for kind in (CudaBindings, PyCuda):
        try:
            return kind()
        except ImportError as error:
            faults.append(str(error))
        except Exception as error:  # both libraries raise their own classes
            raise MissingError(f"No usable NVIDIA GPU here: {error}") from error
    raise MissingError(f"TensorRT needs a CUDA binding, and none is installed ({'; '.join(faults)}): {INSTALL}.")


def no_gpu_reason() -> str | None:
    """Why no GPU can be used here; None where one can."""
    try:
        open_cuda().close()
    except MissingError as error:
        return str(error).rstrip(".")
    return None


def gpu_description() -> dict[str, Any]:
    """Name and compute capability of the first GPU."""
    try:
        from cuda.bindings import runtime
    except ImportError:
        import pycuda.driver as driver

        device = driver.Device(0)
        major, minor = device.compute_capability()
        return {"name": device.name(), "compute_capability": f"{major}.{minor}"}
    _, properties = runtime.cudaGetDeviceProperties(0)
    return {"name": properties.name.decode().rstrip("\0"), "compute_capability": f"{properties.major}.{properties.minor}"}
