"""A row of the report: one measurement, with a label of its own and its distance from the baseline and from FP32."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgekd.report.markup import unique
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.latency import Latency, Timing
from edgekd_runtime.power.sampler import Energy


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        label: A name that no other row of the report has.
        style: Index of the method's colour and shape; 0 is the baseline's.
        stages: Latency by stage, those that were measured.
        miou, pixel_accuracy: In 0–1; None where no accuracy was measured.
        iou: One figure a class, None where the class does not occur; empty without accuracy.
        energy: By stage, those that were measured.
        machine: Description of the device, its name among it.
        state: ``before`` and ``after``, as `edgekd_runtime.power.state.machine_state` gives it.
        score: What the mean IoU is: mIoU of labels, or agreement with the teacher.
        delta: mIoU minus that of the baseline of the same model and precision; None without one, and for the baseline itself.
        delta_fp32: mIoU minus that of the same weights in FP32; None without them, and for FP32 itself.
        times_fp32: How many times as fast as those on the same device and backend, threads and batch alike; None where either was noisy.
    """

    label: str
    style: int
    name: str
    model: str
    method: str
    precision: str
    backend: str
    size: tuple[int, int]
    device: str
    classes: ClassSet
    stages: dict[str, Latency]
    miou: float | None
    pixel_accuracy: float | None
    iou: tuple[float | None, ...]
    images: int
    size_bytes: int
    agreement: float | None
    timing: Timing
    backend_version: str
    threads: int
    batch: int
    peak_memory: int | None
    energy: dict[str, Energy]
    path: str
    sha256: str
    source_sha256: str
    date: str
    machine: dict[str, Any]
    state: dict[str, Any]
    warnings: tuple[str, ...]
    score: str = "mIoU"
    delta: float | None = None
    delta_fp32: float | None = None
    times_fp32: float | None = None

    @property
    def network(self) -> Latency | None:
        """Of the bare call."""
        return self.stages.get("network")

    @property
    def p50(self) -> float:
        """Median network latency in ms; NaN where it was not measured."""
        return self.network.p50_ms if self.network else math.nan

    @property
    def doubtful(self) -> bool:
        """Whether its latency was too noisy for a ratio."""
        return self.network is not None and self.network.doubtful

    @property
    def throughput(self) -> float | None:
        """Images a second through the network."""
        return self.batch * self.network.throughput if self.network else None


def several_data_sets(rows: Sequence[Row]) -> bool:
    """Whether the scores are over other classes or images, so that they can't be compared with each other."""
    return len({(row.classes, row.images, row.score) for row in rows if row.miou is not None}) > 1


def score_names(rows: Sequence[Row]) -> str:
    """What the scores of these rows are, in words."""
    return " or ".join(unique(row.score for row in rows if row.miou is not None)) or "mIoU"
