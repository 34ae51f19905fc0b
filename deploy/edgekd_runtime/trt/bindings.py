"""`Cuda` through NVIDIA's own bindings."""

import ctypes
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.errors import EdgeKDError, MissingError
from edgekd_runtime.trt.cuda import CaptureError, Cuda


class CudaBindings(Cuda):
    """One stream of the first GPU, its buffers, events and graphs.

    Raises:
        MissingError: If the driver is missing, or older than these bindings.
        EdgeKDError: If CUDA fails otherwise.
    """

    def __init__(self) -> None:
        from cuda.bindings import runtime

        self._rt = runtime
        self._free: list[tuple[Any, Any]] = []
        self._handle = self._call(runtime.cudaStreamCreate)
        self.stream = int(self._handle)
        self._free.append((runtime.cudaStreamDestroy, self._handle))

    def _call(self, function: Any, *arguments: Any) -> Any:
        error, *results = function(*arguments)
        if error == self._rt.cudaError_t.cudaErrorInsufficientDriver:
            raise MissingError(self._driver_fault())
        if error != self._rt.cudaError_t.cudaSuccess:
            raise EdgeKDError(f"CUDA: {function.__name__} failed with {error.name}.")
        return results[0] if results else None

    def _driver_fault(self) -> str:
        """What CUDA's error 35 means here: no driver at all, or one that is older than the bindings."""
        (_, driver), (_, bindings) = self._rt.cudaDriverGetVersion(), self._rt.cudaRuntimeGetVersion()
        if not driver:
            return "there is no NVIDIA driver here; install it."
        has, needs = (f"{version // 1000}.{version % 1000 // 10}" for version in (driver, bindings))
        major = driver // 1000 + 1
        return (
            f"the NVIDIA driver is for CUDA {has}, cuda-bindings here for {needs} (error 35); "
            f"pip install 'cuda-bindings<{major}', or a newer driver."
        )

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
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

    def description(self) -> dict[str, Any]:
        properties = self._call(self._rt.cudaGetDeviceProperties, 0)
        return {
            "name": properties.name.decode().rstrip("\0"),
            "compute_capability": f"{properties.major}.{properties.minor}",
            "uuid": f"GPU-{uuid.UUID(bytes=bytes(properties.uuid.bytes[:16]))}",
        }

    def capture(self, launch: Callable[[], object]) -> Callable[[], object]:
        """See `Cuda.capture`. Whatever happens, the capture ends: a stream left capturing would fail other sessions too."""
        mode = self._rt.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        fault: Exception | None = None
        try:
            self._call(self._rt.cudaStreamBeginCapture, self._handle, mode)
        except EdgeKDError as error:
            raise CaptureError(str(error)) from error
        try:
            launch()
        except Exception as error:  # of TensorRT, of CUDA
            fault = error
        ended, *graphs = self._rt.cudaStreamEndCapture(self._handle)
        graph = graphs[0] if graphs else None
        if fault is None and ended == self._rt.cudaError_t.cudaSuccess:
            self._free.append((self._rt.cudaGraphDestroy, graph))
            try:
                executable = self._call(self._rt.cudaGraphInstantiate, graph, 0)
            except EdgeKDError as error:
                raise CaptureError(str(error)) from error
            self._free.append((self._rt.cudaGraphExecDestroy, executable))
            return lambda: self._call(self._rt.cudaGraphLaunch, executable, self._handle)
        if graph is not None and int(graph):
            self._rt.cudaGraphDestroy(graph)
        self._rt.cudaGetLastError()  # or the next call would report this one's
        raise CaptureError(str(fault) if fault is not None else f"CUDA ended the capture with {ended.name}") from fault

    def close(self) -> None:
        faults = []
        while self._free:
            release, handle = self._free.pop()
            try:
                self._call(release, handle)
            except EdgeKDError as error:  # the rest has to go all the same
                faults.append(error)
        if faults:
            raise faults[0]
