"""A row of the report: one measurement, with a label of its own and its distance from the baseline and from FP32."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.report.words import unique
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.latency import Latency
from edgekd_runtime.measurement import Measurement


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        one: The measurement.
        label: A name that no other row of the report has.
        style: Index of the method's colour and shape; 0 is the baseline's.
        delta: mIoU minus that of the baseline of the same model and precision; None without one, and for the baseline itself.
        delta_fp32: mIoU minus that of the same weights in FP32; None without them, and for FP32 itself.
        times_fp32: How many times as fast as those on the same device and backend, threads and batch alike; None if either is noisy.
    """

    one: Measurement
    label: str = ""
    style: int = 0
    delta: float | None = None
    delta_fp32: float | None = None
    times_fp32: float | None = None

    @property
    def about(self) -> Artifact:
        """Sidecar of the measured file."""
        return self.one.artifact

    @property
    def device(self) -> str:
        """Name of the machine."""
        return self.one.device.get("name") or "unknown device"

    @property
    def network(self) -> Latency | None:
        """Of the bare call."""
        return self.one.latency.get("network")

    @property
    def p50(self) -> float:
        """Median network latency in ms; NaN if it was not measured."""
        return self.network.p50_ms if self.network else math.nan

    @property
    def noisy(self) -> bool:
        """Whether its latency is too noisy for a ratio."""
        return self.network is not None and self.network.doubtful

    @property
    def throughput(self) -> float | None:
        """Images per second through the network."""
        return self.one.batch * self.network.throughput if self.network else None

    @property
    def miou(self) -> float | None:
        """In 0–1; None if no accuracy was measured."""
        return _known(self.one.accuracy.miou) if self.one.accuracy else None

    @property
    def pixel_accuracy(self) -> float | None:
        """In 0–1; None if no accuracy was measured."""
        return _known(self.one.accuracy.pixel_accuracy) if self.one.accuracy else None

    @property
    def iou(self) -> tuple[float | None, ...]:
        """One figure per class, None if the class does not occur; empty without accuracy."""
        return tuple(map(_known, self.one.accuracy.iou)) if self.one.accuracy else ()

    @property
    def parity(self) -> float | None:
        """Share of pixels with PyTorch's class, measured at export."""
        return _known(self.about.parity.get("pixel_agreement"))


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def several_data_sets(rows: Sequence[Row]) -> bool:
    """Whether the scores are over other classes or images, so that they can't be compared with each other."""
    return len({(row.about.classes, row.one.images, row.about.score_name) for row in rows if row.miou is not None}) > 1


def score_names(rows: Sequence[Row]) -> str:
    """What the scores of these rows are, in words."""
    return " or ".join(unique(row.about.score_name for row in rows if row.miou is not None)) or "mIoU"
