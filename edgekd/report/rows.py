"""Results files as typed rows, each with a label of its own and its distance from the baseline and from FP32."""

import math
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, TypeVar

from edgekd.report.compare import BASELINE, compared
from edgekd.report.markup import unique
from edgekd.report.naming import labels
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.latency import Latency, Timing
from edgekd_runtime.power.sampler import Energy

Record = TypeVar("Record", Latency, Timing)
_NUMBERS: dict[str, Callable[[Any], float]] = {name: kind for kind in (int, float) for name in (kind.__name__, str(kind))}


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
    return len({(row.classes, row.images) for row in rows if row.miou is not None}) > 1


def read_rows(results: Sequence[dict[str, Any]]) -> list[Row]:
    """Measurements as `edgekd_runtime.measurement.load_results` gives them, in their order.

    Raises:
        UsageError: If there are none.
        EdgeKDError: If one is incomplete.
    """
    if not results:
        raise UsageError("There are no results to report; measure models with `edgekd bench` first.")
    rows = []
    for position, result in enumerate(results, 1):
        try:
            rows.append(_row(result))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EdgeKDError(f"Result {position} is incomplete ({error!r}); measure it again with `edgekd bench`.") from error
    styles = {method: index for index, method in enumerate(unique([BASELINE, *(row.method for row in rows)]))}
    named = zip(rows, labels(rows), strict=True)
    return compared([replace(row, label=label, style=styles[row.method]) for row, label in named])


def _row(result: dict[str, Any]) -> Row:
    artifact, latency, accuracy = result["artifact"], result["latency"], result["accuracy"] or {}
    classes = ClassSet(
        tuple(str(name) for name in artifact["classes"]["names"]),
        tuple((int(red), int(green), int(blue)) for red, green, blue in artifact["classes"]["palette"]),
    )
    iou = tuple(_finite(value) for value in accuracy.get("iou") or ())
    if iou and len(iou) != len(classes):
        raise ValueError(f"{len(iou)} IoU figures for {len(classes)} classes")
    height, width = artifact["size"]
    return Row(
        label="",
        style=0,
        name=str(artifact["name"]),
        model=str(artifact["model"]),
        method=str(artifact["method"]),
        precision=str(artifact["precision"]),
        backend=str(result["backend"]),
        size=(int(height), int(width)),
        device=str(result["device"].get("name") or "unknown device"),
        classes=classes,
        stages={str(stage): _latency(times) for stage, times in latency.items() if times},
        miou=_finite(accuracy.get("miou")),
        pixel_accuracy=_finite(accuracy.get("pixel_accuracy")),
        iou=iou,
        images=int(result["images"]),
        size_bytes=int(result["size_bytes"]),
        agreement=_finite((artifact.get("parity") or {}).get("pixel_agreement")),
        timing=_record(Timing, result["timing"]),
        backend_version=str(result["backend_version"]),
        threads=int(result["threads"]),
        batch=int(result.get("batch", 1)),
        peak_memory=int(result.get("peak_memory_bytes") or 0) or None,
        energy={str(stage): _energy(one) for stage, one in (result.get("energy") or {}).items()},
        path=str(result["path"]),
        sha256=str(artifact["sha256"]),
        source_sha256=str(artifact["source_sha256"]),
        date=str(result["date"]),
        machine=dict(result["device"]),
        state={str(when): dict(found) for when, found in (result.get("state") or {}).items()},
        warnings=tuple(str(sentence) for sentence in result.get("warnings") or ()),
    )


def _record(kind: type[Record], values: dict[str, Any]) -> Record:
    """The numbers that this version knows. Older files lack those with a default."""
    known = [field for field in fields(kind) if str(field.type) in _NUMBERS]
    given = [field for field in known if field.default is MISSING or field.name in values]
    numbers: dict[str, Any] = {field.name: _NUMBERS[str(field.type)](values[field.name]) for field in given}
    return kind(**numbers)


def _latency(values: dict[str, Any]) -> Latency:
    return replace(_record(Latency, values), histogram=tuple(int(count) for count in values.get("histogram") or ()))


def _energy(values: dict[str, Any]) -> Energy:
    watts, joules = float(values["watts"]), float(values["joules_per_frame"])
    return Energy(str(values["source"]), str(values["scope"]), watts, joules, _finite(values.get("idle_watts")))


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
