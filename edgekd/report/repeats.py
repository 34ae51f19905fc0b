"""Several trainings of one method, with other seeds for instance: how far their scores spread."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from edgekd.report.compare import BASELINE, circumstances, scored_on
from edgekd.report.row import Row


@dataclass(frozen=True)
class Repeat:
    """Trainings that differ in nothing but their weights.

    Attributes:
        row: The first of them, for what they have in common.
        scores: One for each training, in 0–1, ascending.
        delta: Their mean minus that of the baseline's trainings; None without those, and for the baseline itself.
        error: Standard error of `delta`; None if one of the two was trained once.
    """

    row: Row
    scores: tuple[float, ...]
    delta: float | None = None
    error: float | None = None

    @property
    def mean(self) -> float:
        """In 0–1."""
        return fmean(self.scores)

    @property
    def deviation(self) -> float:
        """Sample standard deviation, in 0–1."""
        return stdev(self.scores)


def repeats(rows: Sequence[Row]) -> list[Repeat]:
    """The groups of rows that have two or more trainings each, the best mean first."""
    groups: dict[Hashable, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.miou is not None:
            groups[_alike(row)][row.about.source_sha256].append(row)
    found = []
    for trainings in groups.values():
        scores = _scores(trainings)
        if len(scores) > 1:
            first = next(iter(trainings.values()))[0]
            found.append(Repeat(first, scores, *_against(scores, first, _scores(groups.get(_alike(first, BASELINE), {})))))
    return sorted(found, key=lambda one: -one.mean)


def _alike(row: Row, method: str = "") -> Hashable:
    return row.about.model, method or row.about.method, row.about.precision, circumstances(row), scored_on(row)


def _scores(trainings: dict[str, list[Row]]) -> tuple[float, ...]:
    """The score of each training; the mean of several measurements of it."""
    return tuple(sorted(fmean(row.miou or 0.0 for row in same) for same in trainings.values()))


def _against(scores: tuple[float, ...], row: Row, baseline: tuple[float, ...]) -> tuple[float | None, float | None]:
    """The difference of two means, and its standard error."""
    if row.about.method == BASELINE or not baseline:
        return None, None
    delta = fmean(scores) - fmean(baseline)
    if len(baseline) < 2:
        return delta, None
    return delta, (stdev(scores) ** 2 / len(scores) + stdev(baseline) ** 2 / len(baseline)) ** 0.5


def repeats_view(found: Sequence[Repeat]) -> dict[str, object]:
    """The table, and a strip of each group's scores on one axis."""
    low, high = min(one.scores[0] for one in found), max(one.scores[-1] for one in found)
    room = 0.06 * (high - low) or 0.005
    low, high = low - room, high + room
    return {
        "low": low,
        "high": high,
        "groups": [(one, [round(100 * (score - low) / (high - low), 2) for score in (*one.scores, one.mean)]) for one in found],
    }
