"""Which TensorRT is used: the bindings of both families have one API, so the rest of this package sees one module, `trt`.

To a type checker `trt` is the `tensorrt` module, so every call is checked against the stubs of 10.3 and 11.4 (`make lint`).
"""

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgekd_runtime.errors import MissingError, UsageError

__all__ = ["FAMILIES", "Family", "host_bytes", "installed_family", "trt", "use_family"]


def _number(capability: str) -> tuple[int, ...]:
    return tuple(int(part) for part in capability.split(".")) if capability else ()


@dataclass(frozen=True)
class Family:
    """One of the two TensorRT products.

    Attributes:
        module: Import name of its bindings.
        install: How to get it.
        needs_gpu: Whether building an engine needs a GPU here.
        timing_cache: Whether builds measure, and can keep what they measured.
        runs_on: Compute capabilities that its engines run on, of NVIDIA's support matrix; empty = all that TensorRT knows.
        portable_from: An engine runs on any GPU of `runs_on` from this compute capability on; empty = on the kind that it was built on.
        runtime_cache: Whether an engine's kernels are compiled where it runs, and can be kept.
    """

    module: str
    install: str
    needs_gpu: bool
    timing_cache: bool
    runs_on: tuple[str, ...] = ()
    portable_from: str = ""
    runtime_cache: bool = False

    def refusal(self, gpu: Mapping[str, Any]) -> str:
        """Why its engines don't run on a GPU, as a clause; empty where they do, or where the GPU is not known."""
        capability = gpu.get("compute_capability", "")
        if not capability or not self.runs_on or capability in self.runs_on:
            return ""
        return f"it does not run on {gpu.get('name')} (compute capability {capability}; it is for {', '.join(self.runs_on)})"

    def fits(self, built: Mapping[str, Any], here: Mapping[str, Any]) -> bool:
        """Whether an engine that was built with one GPU at hand, or none, runs on the one here."""
        capabilities = [gpu.get("compute_capability", "") for gpu in (built, here)]
        if not capabilities[0] or capabilities[0] == capabilities[1]:
            return True
        return bool(self.portable_from) and all(_number(one) >= _number(self.portable_from) for one in capabilities)


FAMILIES = {
    "tensorrt": Family(
        "tensorrt",
        "pip install tensorrt (on a Jetson: JetPack brings it, apt install python3-libnvinfer)",
        needs_gpu=True,
        timing_cache=True,
    ),
    "tensorrt-rtx": Family(
        "tensorrt_rtx",
        "pip install tensorrt-rtx-cu13",
        needs_gpu=False,
        timing_cache=False,
        runs_on=("7.5", "8.6", "8.9", "12.0", "12.1"),
        portable_from="8.6",
        runtime_cache=True,
    ),
}

if TYPE_CHECKING:
    import tensorrt as trt
else:

    class _Chosen:
        """Stands for the chosen family's module."""

        def __getattr__(self, name: str) -> Any:
            return getattr(_chosen[0], name)

    trt = _Chosen()

_chosen: list[Any] = []


def use_family(name: str) -> str:
    """Make `trt` stand for a family; returns its version.

    Raises:
        UsageError: If there is no such family.
        MissingError: If it is not installed.
    """
    if name not in FAMILIES:
        raise UsageError(f"Unknown TensorRT family {name!r}; use one of {', '.join(FAMILIES)}.")
    family = FAMILIES[name]
    try:
        module = importlib.import_module(family.module)
    except ImportError as error:
        raise MissingError(f"{name} is not installed ({error}): {family.install}.") from error
    _chosen[:] = [module]
    return str(module.__version__)


def installed_family() -> str:
    """The first family of `FAMILIES` that is installed here.

    Raises:
        MissingError: If there is none.
    """
    for name, family in FAMILIES.items():
        if importlib.util.find_spec(family.module) is not None:
            return name
    raise MissingError(f"No TensorRT is installed here: {' or '.join(family.install for family in FAMILIES.values())}.")


def host_bytes(memory: Any) -> bytes:
    """The content of TensorRT's host memory, which has the buffer protocol though its type does not say so."""
    return bytes(memoryview(memory))
