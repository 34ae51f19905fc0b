"""`Cuda` through pycuda, which many a Jetson has. It has no CUDA graphs."""

import uuid
from typing import Any

from numpy.typing import NDArray

from edgekd_runtime.trt.cuda import Cuda


class PyCuda(Cuda):
    """One stream of the first GPU and its buffers, in the context that TensorRT uses too."""

    def __init__(self) -> None:
        import pycuda.driver as driver

        driver.init()
        self._driver, self._gpu = driver, driver.Device(0)
        self._context = self._gpu.retain_primary_context()
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

    def description(self) -> dict[str, Any]:
        major, minor = self._gpu.compute_capability()
        found = {"name": self._gpu.name(), "compute_capability": f"{major}.{minor}"}
        return found | ({"uuid": f"GPU-{uuid.UUID(bytes=bytes(self._gpu.uuid()))}"} if hasattr(self._gpu, "uuid") else {})

    def close(self) -> None:
        while self._held:
            self._held.pop().free()
        self._context.pop()
