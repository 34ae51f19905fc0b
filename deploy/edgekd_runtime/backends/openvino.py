"""OpenVINO: Intel's runtime, and on many x86 and Arm CPUs the fastest one for INT8."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.backends.openvino_resize import resize_by_products
from edgekd_runtime.errors import EdgeKDError, MissingError
from edgekd_runtime.signal_stack import signal_stack_kept

INSTALL = "pip install openvino"
_HINTS = {"fp16": "f16", "bf16": "bf16"}


def require() -> str:
    """Version of OpenVINO.

    Raises:
        MissingError: If it is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingError(f"OpenVINO is not installed: {INSTALL}.") from error
    return str(openvino.__version__).split("-")[0]


class OpenVINOSession(Session):
    """One compiled model on the CPU, tuned for latency."""

    def __init__(self, model_file: Path, artifact: Artifact, threads: int) -> None:
        self.artifact, self.backend, self.version = artifact, "openvino", require()
        import openvino

        # without the hint, CPUs that have bf16 units would compute an fp32 model in bf16
        hint = _HINTS.get(artifact.precision.rpartition("-")[2], "f32")
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
        try:
            with signal_stack_kept():
                core = openvino.Core()
                model = core.read_model(str(model_file))
                if hint == "f32":
                    resize_by_products(model)
                self._compiled = core.compile_model(model, "CPU", settings)
                self._request = self._compiled.create_infer_request()
        except RuntimeError as error:
            raise EdgeKDError(f"OpenVINO can't load {model_file}: {str(error).strip().splitlines()[-1]}") from error
        executed = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.version += f" ({executed})"  # a CPU without such units computes in f32 all the same, and the record should say so

    def run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        # a view of the request's memory, which the next call overwrites
        return self._request.infer({0: image}, share_inputs=True)[0].copy()
