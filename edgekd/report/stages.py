"""The stages of a frame as the report names and orders them, and the histogram of one."""

from collections.abc import Sequence
from typing import NamedTuple

from edgekd.report.axis import ticks
from edgekd.report.row import Row
from edgekd.report.words import milliseconds, unique
from edgekd_runtime.latency import Latency
from edgekd_runtime.stages import STAGES

_TITLES = {"preprocess": "Pre", "postprocess": "Post", "h2d": "H2D", "d2h": "D2H"}
_ORDER = list(STAGES)
_HEIGHT, _TICKS = 40, 6


class Histogram(NamedTuple):
    """A histogram to draw, in a box of 100×40.

    Attributes:
        title: The stage.
        path: Outline of the bars.
        median: Where the median is, across.
        words: Minimum, median and p95, and how many calls.
        ticks: Of the axis below it: where across, and what it says, in ms.
    """

    title: str
    path: str
    median: float
    words: str
    ticks: list[tuple[float, str]]


def stages(rows: Sequence[Row]) -> list[str]:
    """The stages around the network that some row has, in the order in which a frame goes through them."""
    present = unique(stage for row in rows for stage in row.one.latency if stage != "network")
    return sorted(present, key=lambda stage: _ORDER.index(stage) if stage in _ORDER else len(_ORDER))


def stage_title(stage: str) -> str:
    """What a stage is called."""
    return _TITLES.get(stage, stage.replace("_", " ").capitalize())


def histograms(row: Row) -> list[Histogram]:
    """Those of the network and of the whole frame, where they were recorded."""
    recorded = [(stage, row.one.latency[stage]) for stage in ("network", "end_to_end") if stage in row.one.latency]
    return [_histogram(stage_title(stage), latency) for stage, latency in recorded if latency.histogram]


def _histogram(title: str, latency: Latency) -> Histogram:
    counts, width = latency.histogram, 100 / len(latency.histogram)
    tops = (_HEIGHT * (1 - count / (max(counts) or 1)) for count in counts)
    steps = "".join(f"V{top:.3g}H{width * (index + 1):.3g}" for index, top in enumerate(tops))
    low, high = latency.min_ms, latency.p95_ms

    def across(value: float) -> float:
        return round(100 * (value - low) / ((high - low) or 1), 1)

    figures = f"min {milliseconds(low)}, p50 {milliseconds(latency.p50_ms)}, p95 {milliseconds(high)} ms"
    return Histogram(
        title=title,
        path=f"M0 {_HEIGHT}{steps}V{_HEIGHT}Z",
        median=across(latency.p50_ms),
        words=f"{figures}; {latency.count:,.0f} calls, highest bar {max(counts):,}",
        ticks=[(across(tick), f"{tick:g}") for tick in ticks(low, high, _TICKS)] if high > low else [(0.0, milliseconds(low))],
    )
