"""The stages of a frame as the report names and orders them, and the histogram of one."""

from collections.abc import Sequence
from typing import NamedTuple

from edgekd.report.markup import milliseconds, unique
from edgekd.report.row import Row
from edgekd_runtime.latency import Latency
from edgekd_runtime.stages import STAGES

_TITLES = {"preprocess": "Pre", "postprocess": "Post", "h2d": "H2D", "d2h": "D2H"}
_ORDER = list(STAGES)
_HEIGHT = 40


class Histogram(NamedTuple):
    """A histogram to draw: the outline of its bars in a box of 100×40, where its median is across, and its words."""

    title: str
    path: str
    median: float
    words: str


def stages(rows: Sequence[Row]) -> list[str]:
    """The stages around the network that some row has, in the order in which a frame goes through them."""
    present = unique(stage for row in rows for stage in row.stages if stage != "network")
    return sorted(present, key=lambda stage: _ORDER.index(stage) if stage in _ORDER else len(_ORDER))


def stage_title(stage: str) -> str:
    """What a stage is called."""
    return _TITLES.get(stage, stage.replace("_", " ").capitalize())


def histograms(row: Row) -> list[Histogram]:
    """Those of the network and of the whole frame, where they were recorded."""
    recorded = [(stage, row.stages[stage]) for stage in ("network", "end_to_end") if stage in row.stages]
    return [_histogram(stage_title(stage), latency) for stage, latency in recorded if latency.histogram]


def _histogram(title: str, latency: Latency) -> Histogram:
    counts, width = latency.histogram, 100 / len(latency.histogram)
    tops = (_HEIGHT * (1 - count / (max(counts) or 1)) for count in counts)
    steps = "".join(f"V{top:.3g}H{width * (index + 1):.3g}" for index, top in enumerate(tops))
    median = 100 * (latency.p50_ms - latency.min_ms) / ((latency.p95_ms - latency.min_ms) or 1)
    words = (
        " – ".join(milliseconds(value) for value in (latency.min_ms, latency.p50_ms, latency.p95_ms)) + f" ms, {latency.count:,.0f} calls"
    )
    return Histogram(title, f"M0 {_HEIGHT}{steps}V{_HEIGHT}Z", round(median, 1), words)
