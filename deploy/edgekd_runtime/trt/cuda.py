"""The little of CUDA that running an engine needs, through cuda-bindings or pycuda, whichever is installed and fits the driver.

Not run here: no GPU was at hand; `benchmarks/gpu` runs it. `cuda.core` could stand for most of it, but not yet on a JetPack 6: its memory
pools misjudge the drivers of CUDA 12.6 to 12.8 (NVIDIA/cuda-python issue 2795), and an AGX Orin has no pool of pinned memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from edgekd_runtime.errors import EdgeKDError, MissingError

INSTALL = "pip install cuda-bindings ('cuda-bindings<13' for a driver of CUDA 12, as JetPack 6 has), or pycuda"


class CaptureError(EdgeKDError):
    """What was put on the stream can't be a CUDA graph; the stream is as usable as before."""


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
    def description(self) -> dict[str, Any]:
        """``name``, ``compute_capability`` (``8.7``) and ``uuid`` (``GPU-…``) of the stream's GPU."""

    @abstractmethod
    def close(self) -> None:
        """Free everything."""

    def capture(self, launch: Callable[[], object]) -> Callable[[], object]:
        """Record what `launch` puts on the stream as a CUDA graph; returns what replays it.

        Raises:
            CaptureError: If that can't be done.
        """
        raise CaptureError("pycuda has no CUDA graphs")


def open_cuda() -> Cuda:
    """A stream on the first GPU.

    Raises:
        MissingError: If neither binding is installed, or there is no usable GPU.
    """
    from edgekd_runtime.trt.bindings import CudaBindings
    from edgekd_runtime.trt.pycuda_driver import PyCuda

    absent, faults = [], []
    for kind in (CudaBindings, PyCuda):
        try:
            return kind()
        except ImportError as error:
            absent.append(str(error))
        except Exception as error:  # both libraries raise their own classes
            faults.append(str(error).rstrip("."))
    if faults:
        raise MissingError(f"No usable NVIDIA GPU here: {'; '.join(faults)}.")
    raise MissingError(f"TensorRT needs a CUDA binding, and none is installed ({'; '.join(absent)}): {INSTALL}.")


def no_gpu_reason() -> str | None:
    """Why no GPU can be used here; None where one can."""
    try:
        open_cuda().close()
    except MissingError as error:
        return str(error).rstrip(".")
    return None


def gpu_description() -> dict[str, Any]:
    """`Cuda.description` of the first GPU.

    Raises:
        MissingError: If there is none.
    """
    cuda = open_cuda()
    try:
        return cuda.description()
    finally:
        cuda.close()
