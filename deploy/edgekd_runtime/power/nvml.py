"""NVIDIA's management library, through nvidia-ml-py. Not run here: no GPU was at hand."""

import importlib
import time
from contextlib import suppress
from typing import Any

from edgekd_runtime.errors import EdgeKDError, MissingError
from edgekd_runtime.power.meter import Integral, Meter
from edgekd_runtime.trt.cuda import gpu_description

INTERVAL_S = 0.05


def _cuda_uuid() -> str | None:
    """Of the GPU that CUDA calls its first; None where no binding tells."""
    try:
        return gpu_description().get("uuid")
    except EdgeKDError:
        return None


class NVMLMeter(Meter):
    """The own count of the energy of the board that CUDA uses.

    It is found by its UUID: NVML counts in the order of the PCI bus and sees GPUs that ``CUDA_VISIBLE_DEVICES`` hides from CUDA.

    GPUs older than Volta keep none, and their power is integrated instead; of Ampere (but GA100) and later ones that would be wrong,
    because what they tell as power is the mean of the last second (NVML API reference, nvmlDeviceGetPowerUsage), longer than a turn.
    """

    name = "nvml"

    def __init__(self) -> None:
        try:
            self._nvml: Any = importlib.import_module("pynvml")
        except ImportError as error:
            raise MissingError("NVML needs Python bindings: pip install nvidia-ml-py.") from error
        try:
            self._nvml.nvmlInit()
            self._gpu, self.scope = self._find(_cuda_uuid())
            self._power = Integral()
            self._counts = self._keeps_count()
            self.joules()
        except self._nvml.NVMLError_NotSupported as error:
            raise MissingError("NVML does not tell the power of this GPU; on a Jetson use --power tegrastats.") from error
        except self._nvml.NVMLError as error:
            raise MissingError(f"NVML can't be used here ({error}); install the NVIDIA driver.") from error

    def _find(self, uuid: str | None) -> tuple[Any, str]:
        if uuid is None:
            return self._nvml.nvmlDeviceGetHandleByIndex(0), "the board of NVML's GPU 0"
        return self._nvml.nvmlDeviceGetHandleByUUID(uuid), f"the board of {uuid}"

    def _keeps_count(self) -> bool:
        try:
            self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._gpu)
        except self._nvml.NVMLError_NotSupported:
            return False
        return True

    def joules(self) -> float:
        time.sleep(INTERVAL_S)
        if self._counts:
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._gpu)) / 1e3
        return self._power.add(self._nvml.nvmlDeviceGetPowerUsage(self._gpu) / 1e3)

    def close(self) -> None:
        with suppress(self._nvml.NVMLError):  # a GPU that has gone must not take the measurement along
            self._nvml.nvmlShutdown()
