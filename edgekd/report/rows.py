"""Results files as typed rows, each with a label of its own and its distance from the baseline."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, TypeVar

from edgekd.report.markup import unique
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.latency import Latency, Timing

BASELINE = "baseline"
Record = TypeVar("Record", Latency, Timing)


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes:
        label: A name that no other row of the report has.
        style: Index of the method's colour and shape; 0 is the baseline's.
        network, end_to_end: Latency; None where that stage was not measured.
        miou, pixel_accuracy: In 0–1; None where no accuracy was measured.
        iou: One figure a class, None where the class does not occur; empty without accuracy.
        delta: mIoU minus that of the baseline of the same model and precision; None without one, and for the baseline itself.
        machine: Description of the device, its name among it.
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
    network: Latency | None
    end_to_end: Latency | None
    miou: float | None
    pixel_accuracy: float | None
    iou: tuple[float | None, ...]
    images: int
    size_bytes: int
    agreement: float | None
    timing: Timing
    backend_version: str
    threads: int
    path: str
    sha256: str
    date: str
    machine: dict[str, Any]
    delta: float | None = None

    @property
    def p50(self) -> float:
        """Median network latency in ms; NaN where it was not measured."""
        return self.network.p50_ms if self.network else math.nan


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
    labels = _labels(rows)
    baselines = defaultdict(list)
    for row in rows:
        if row.method == BASELINE and row.miou is not None:
            baselines[_peers(row)].append(row)
    return [
        replace(row, label=label, style=styles[row.method], delta=_delta(row, baselines[_peers(row)]))
        for row, label in zip(rows, labels, strict=True)
    ]


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
        network=_record(Latency, latency.get("network")),
        end_to_end=_record(Latency, latency.get("end_to_end")),
        miou=_finite(accuracy.get("miou")),
        pixel_accuracy=_finite(accuracy.get("pixel_accuracy")),
        iou=iou,
        images=int(result["images"]),
        size_bytes=int(result["size_bytes"]),
        agreement=_finite((artifact.get("parity") or {}).get("pixel_agreement")),
        timing=_record(Timing, result["timing"]) or Timing(),
        backend_version=str(result["backend_version"]),
        threads=int(result["threads"]),
        path=str(result["path"]),
        sha256=str(artifact["sha256"]),
        date=str(result["date"]),
        machine=dict(result["device"]),
    )


def _record(kind: type[Record], values: dict[str, Any] | None) -> Record | None:
    """The fields that this version knows, as numbers; int and float are the only types there. Older files lack those with a default."""
    if not values:
        return None
    numbers: dict[str, Any] = {
        field.name: (int if field.type in (int, "int") else float)(values[field.name])
        for field in fields(kind)
        if field.default is MISSING or field.name in values
    }
    return kind(**numbers)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _labels(rows: Sequence[Row]) -> list[str]:
    """Name and method; rows that still agree add what they differ in, and at last a number."""
    labels = [row.name if row.method.lower() in row.name.lower() else f"{row.name} ({row.method})" for row in rows]
    same = defaultdict(list)
    for index, label in enumerate(labels):
        same[label].append(index)
    for indices in same.values():
        details = [
            (rows[index].precision, rows[index].model, "×".join(map(str, rows[index].size)), rows[index].backend, rows[index].device)
            for index in indices
        ]
        telling = [column for column in range(5) if len({detail[column] for detail in details}) > 1]
        for index, detail in zip(indices, details, strict=True):
            labels[index] = ", ".join([labels[index], *(detail[column] for column in telling)])
    seen: dict[str, int] = defaultdict(int)
    for index, label in enumerate(labels):
        seen[label] += 1
        labels[index] = f"{label} #{seen[label]}" if seen[label] > 1 else label
    return labels


def _peers(row: Row) -> tuple[object, ...]:
    """What must agree before two mIoU are compared; over other classes or images they are different quantities."""
    return row.model, row.precision, row.classes, row.images


def _delta(row: Row, baselines: Sequence[Row]) -> float | None:
    """Distance from the baseline measured most alike; from the mean where there are several, runs with other seeds for instance."""
    if row.miou is None or row.method == BASELINE or not baselines:
        return None
    likeness = [(other.size == row.size, other.backend == row.backend, other.device == row.device) for other in baselines]
    nearest = [other.miou or 0.0 for other, like in zip(baselines, likeness, strict=True) if like == max(likeness)]
    return row.miou - sum(nearest) / len(nearest)
