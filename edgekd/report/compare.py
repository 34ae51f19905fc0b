"""A row beside others: the undistilled student, and the same weights in FP32."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from operator import eq
from statistics import fmean

from edgekd.report.row import Row

BASELINE, FULL = "baseline", "fp32"


def compared(rows: Sequence[Row]) -> list[Row]:
    """The rows with their distances from the baseline and from FP32."""
    full = [row for row in rows if row.about.precision == FULL]
    baselines = _grouped((row for row in rows if row.about.method == BASELINE), _student)
    same_weights = _grouped(full, _weights)
    same_run = _grouped(full, lambda row: (_weights(row), circumstances(row)))
    return [
        replace(
            row,
            delta=None if row.about.method == BASELINE else _difference(row, baselines[_student(row)]),
            delta_fp32=None if row.about.precision == FULL else _difference(row, same_weights[_weights(row)]),
            times_fp32=None if row.about.precision == FULL else _ratio(row, same_run[_weights(row), circumstances(row)]),
        )
        for row in rows
    ]


def _grouped(rows: Iterable[Row], key: Callable[[Row], Hashable]) -> dict[Hashable, list[Row]]:
    groups: dict[Hashable, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def _student(row: Row) -> Hashable:
    """What must agree before two trainings' mIoU are compared; over other classes or images they are different quantities."""
    return row.about.model, row.about.precision, scored_on(row)


def _weights(row: Row) -> Hashable:
    """What must agree before two precisions are compared: where they come from, and what they were measured on."""
    return row.about.source_sha256, row.about.model, row.about.method, scored_on(row)


def scored_on(row: Row) -> Hashable:
    """What must agree before two scores are compared at all."""
    return row.about.classes, row.one.images, row.about.score_name


def circumstances(row: Row) -> tuple[object, ...]:
    """What must agree before two latencies are compared; first what the accuracy depends on too."""
    return row.about.size, row.one.backend, row.device, row.one.threads, row.one.batch


def _difference(row: Row, others: Sequence[Row]) -> float | None:
    """MIoU minus that of the row measured most alike; minus the mean of several, runs with other seeds for instance."""
    scored = [other for other in others if other.miou is not None]
    if row.miou is None or not scored:
        return None
    mine = circumstances(row)
    likeness = [tuple(map(eq, mine, circumstances(other))) for other in scored]
    return row.miou - fmean(other.miou or 0.0 for other, like in zip(scored, likeness, strict=True) if like == max(likeness))


def _ratio(row: Row, others: Sequence[Row]) -> float | None:
    """How many times as fast as the mean of the others; None if either is noisy."""
    timed = [other.p50 for other in others if other.p50 > 0 and not other.noisy]
    return fmean(timed) / row.p50 if timed and row.p50 > 0 and not row.noisy else None
