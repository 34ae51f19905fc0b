"""`edgekd_runtime.trt.cuda` on a real stream, with a kernel of PyTorch's: python benchmarks/gpu/streams.py OUT.json.

Upload, capture, replay beside eager, the step timer, a capture that fails, 200 times open and close, NVML's GPU. Without a GPU the same
lines run on the tests' made-up CUDA.
"""

import ctypes
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgekd_runtime.errors import MissingError
from edgekd_runtime.power import open_meter
from edgekd_runtime.trt.cuda import CaptureError, Cuda, gpu_description, open_cuda
from edgekd_runtime.trt.steps import StepTimer

ROOT = Path(__file__).parents[2]
SHAPE = (1024, 1024)


def kernel(cuda: Cuda, source: int, target: int) -> Callable[[], object]:
    """Twice the values at one address → at another, on the stream."""
    size = int(np.prod(SHAPE))
    if not torch.cuda.is_available():

        def twice() -> None:
            given, taken = ((ctypes.c_float * size).from_address(address) for address in (source, target))
            np.multiply(np.frombuffer(given, np.float32), 2, out=np.frombuffer(taken, np.float32))

        return lambda: made_up.put(twice)
    stream = torch.cuda.ExternalStream(cuda.stream)
    given, taken = (_at(address, size) for address in (source, target))

    def launch() -> None:
        with torch.cuda.stream(stream):
            torch.mul(given, 2, out=taken)

    return launch


def _at(address: int, size: int) -> torch.Tensor:
    """Device memory as PyTorch sees it."""

    class Memory:
        __cuda_array_interface__ = {"shape": (size,), "typestr": "<f4", "data": (address, False), "version": 3}

    return torch.as_tensor(Memory(), device="cuda")


def close_enough(cuda: Cuda, host: np.ndarray[Any, Any], result: np.ndarray[Any, Any], launch: Callable[[], object]) -> bool:
    """Whether a launch doubles what was uploaded."""
    host[:] = np.random.default_rng().random(SHAPE, np.float32)
    result[:] = 0
    launch()
    cuda.synchronise()
    return bool(np.allclose(result, 2 * host))


def main(out: str) -> int:
    told: dict[str, Any] = {"gpu": gpu_description(), "made_up": not torch.cuda.is_available()}
    cuda = open_cuda()
    host, result = cuda.pinned(SHAPE, np.float32), cuda.pinned(SHAPE, np.float32)
    source, target = cuda.device(host.nbytes), cuda.device(host.nbytes)
    compute = kernel(cuda, source, target)
    steps = {"h2d": lambda: cuda.upload(source, host), "compute": compute, "d2h": lambda: cuda.download(result, target)}

    def whole() -> None:
        for each in steps.values():
            each()

    told["eager"] = close_enough(cuda, host, result, whole)
    replay = cuda.capture(whole)
    told["replay"] = all(close_enough(cuda, host, result, replay) for _ in range(5))

    def fails() -> None:
        compute()
        raise ZeroDivisionError("on purpose")

    try:
        cuda.capture(fails)
        told["failed_capture"] = "was not noticed"
    except CaptureError as error:
        told["failed_capture"] = str(error)
    try:
        cuda.capture(cuda.synchronise)
        told["unsafe_capture"] = "was not noticed"
    except CaptureError as error:
        told["unsafe_capture"] = str(error)
    told["after_failures"] = close_enough(cuda, host, result, whole)
    told["graph_after_failures"] = close_enough(cuda, host, result, cuda.capture(whole))
    timer = StepTimer(cuda, {**steps, "compute": cuda.capture(compute)})
    told["steps_ms"] = {name: 1e3 * seconds for name, seconds in [timer.run() for _ in range(20)][-1].items()}
    cuda.close()
    for _ in range(200):
        again = open_cuda()
        again.device(1 << 20)
        again.event()
        again.close()
    told["opened_and_closed"] = 200
    try:
        meter = open_meter("nvml")
        told["nvml"] = {"scope": meter.scope, "joules": [meter.joules() for _ in range(3)]}
        meter.close()
    except MissingError as error:
        told["nvml"] = str(error)
    Path(out).write_text(json.dumps(told), encoding="utf-8")
    right = all(told[name] is True for name in ("eager", "replay", "after_failures", "graph_after_failures"))
    return int(not (right and "on purpose" in told["failed_capture"] and told["unsafe_capture"] != "was not noticed"))


if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.path.insert(0, str(ROOT))
        import pytest

        from tests.runtime.made_up import install_cuda

        made_up = install_cuda(pytest.MonkeyPatch())
    sys.exit(main(*sys.argv[1:]))
