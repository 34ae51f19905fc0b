"""A measurement: what was measured, on what, how, with which versions. One JSON file holds a list of them."""

import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np

from edgekd_runtime import __version__
from edgekd_runtime.accuracy import Accuracy
from edgekd_runtime.artifact import AGREEMENT, Artifact, score_key
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import read_json, write_json
from edgekd_runtime.latency import Latency, Timing
from edgekd_runtime.power.sampler import Energy
from edgekd_runtime.typed import Facts, Within, typed

SCHEMA_VERSION = 1
Count = Annotated[int, Within(0, 1 << 53)]


class DeviceFacts(TypedDict, total=False):
    """What is read of `Measurement.device`."""

    name: str
    cores: int | None


@dataclass(frozen=True)
class _Results:
    """What a results file holds."""

    measurements: "tuple[Measurement, ...]"


@dataclass(frozen=True)
class Measurement:
    """Latency and accuracy of the same model file on one device.

    Attributes:
        artifact: The sidecar of the measured file.
        path: Where the file lay.
        size_bytes: Of the model file.
        backend: e.g. ``onnxruntime-cpu``.
        backend_version: Of that library.
        threads: CPU threads asked for; 0 = the backend's default.
        latency: By stage, a key of `edgekd_runtime.stages.STAGES`; a call is of `batch` images.
        accuracy: On the artifact's data, or None where that was not asked for.
        images: How many images the accuracy was measured on.
        timing: How the latency was measured.
        device: Machine description.
        date: UTC, ISO 8601.
        batch: Images a call.
        peak_memory_bytes: As `edgekd_runtime.memory.peak_memory` measures it; None where it can't be.
        energy: By stage; empty where it was not asked for.
        state: ``before`` and ``after`` the measurement, as `edgekd_runtime.power.state.machine_state` gives it.
        warnings: What makes the figures doubtful, in sentences.
    """

    artifact: Artifact
    path: str
    size_bytes: Count
    backend: str
    backend_version: str
    threads: Count
    latency: dict[str, Latency]
    accuracy: Accuracy | None
    images: Count
    timing: Timing
    device: Annotated[dict[str, Any], Facts(DeviceFacts)]
    date: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    batch: Annotated[int, Within(1, 1 << 20)] = 1
    peak_memory_bytes: Count | None = None
    energy: dict[str, Energy] = field(default_factory=dict)
    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        scored, classes = len(self.accuracy.iou) if self.accuracy else 0, len(self.artifact.classes)
        if scored not in (0, classes):
            raise EdgeKDError(f"{scored} IoU figures for {classes} classes.")

    @property
    def images_per_second(self) -> float:
        """Throughput of the network alone."""
        return self.batch * self.latency["network"].throughput

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dictionary."""
        return {**asdict(self), "accuracy": self.accuracy.to_json(self.artifact.score_key) if self.accuracy else None}


def describe_device() -> dict[str, Any]:
    """The machine: processor, cores that this process may use, operating system, Python and library versions."""
    return {
        "name": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "edgekd_runtime": __version__,
    }


def _processor() -> str:
    """The processor's name; on Jetson the board's."""
    board = Path("/proc/device-tree/model")
    if board.is_file():
        return board.read_text(encoding="utf-8").strip("\0 \n")
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def save_results(path: str | Path, measurements: list[Measurement]) -> None:
    """Write measurements as one JSON document."""
    write_json(path, {"schema_version": SCHEMA_VERSION, "measurements": [one.to_json() for one in measurements]})


def load_results(path: str | Path) -> list[Measurement]:
    """Measurements of a results file.

    Raises:
        EdgeKDError: If the file is missing, not JSON, of another schema, or a field is missing or wrong.
    """
    return read_measurements(read_json(path), str(path))


def read_measurements(document: Any, name: str) -> list[Measurement]:
    """Measurements of a results document.

    Raises:
        EdgeKDError: If it is of another schema, or a field is missing or wrong; `name` says of what.
    """
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION or "measurements" not in document:
        raise EdgeKDError(f"{name} is not a results file of schema {SCHEMA_VERSION}; write it with `edgekd bench`.")
    named = {**document, "measurements": _by_one_name(document["measurements"])}
    return list(typed(_Results, named, name, "measure it again with `edgekd bench`").measurements)


def _by_one_name(measurements: Any) -> Any:
    """Measurements whose mean IoU has the key of the field, whatever it is of; what is not as it should be is left to `typed`."""
    key = score_key(AGREEMENT)

    def renamed(one: Any) -> Any:
        score = one.get("accuracy") if isinstance(one, dict) else None
        if not isinstance(score, dict) or key not in score:
            return one
        return {**one, "accuracy": {"miou" if name == key else name: value for name, value in score.items()}}

    return [renamed(one) for one in measurements] if isinstance(measurements, list) else measurements
