"""Latency against mIoU as an SVG that stands alone: points by method, and the front that no measured model beats."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from edgekd.report.axis import Axis
from edgekd.report.chart import Dot, draw_chart, pareto_front
from edgekd.report.details import tip
from edgekd.report.row import Row, score_names
from edgekd.report.rows import read_rows
from edgekd_runtime.errors import UsageError
from edgekd_runtime.measurement import Measurement


def plottable(rows: Sequence[Row]) -> list[Row]:
    """The rows with both figures, latency positive so that it has a logarithm."""
    return [row for row in rows if row.miou is not None and 0 < row.p50 < math.inf]


def front_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows on the Pareto front, by rising latency."""
    shown = plottable(rows)
    return [shown[index] for index in pareto_front([(row.p50, row.miou or 0.0) for row in shown])]


def pareto_svg(results: Sequence[Measurement], *, width: int = 900, height: int = 460, max_latency_ms: float | None = None) -> str:
    """The plot of measurements.

    Args:
        results: Measurements.
        width: Of the drawing, in CSS pixels; it scales, and its text with it.
        height: Likewise.
        max_latency_ms: Latency target, drawn as a line.

    Raises:
        UsageError: If there are no results, or none has an accuracy.
    """
    return draw(read_rows(results), width, height, max_latency_ms)


def draw(rows: Sequence[Row], width: int, height: int, max_latency_ms: float | None = None, alone: bool = True) -> Markup:
    """The plot of rows; `pareto_svg` for results.

    Args:
        rows: What to plot.
        width: Of the drawing, in CSS pixels.
        height: Likewise.
        max_latency_ms: Latency target, drawn as a line.
        alone: Let it bring its style, and every point its tooltip; without, its row's number, for a script that knows the words.
    """
    shown = plottable(rows)
    if not shown:
        raise UsageError("No result has an accuracy to plot; measure it with `edgekd bench` (without --no-accuracy).")
    number = {row.label: None if alone else index for index, row in enumerate(rows)}
    dots = [
        Dot(
            row.p50,
            100 * (row.miou or 0.0),
            row.label,
            row.about.method,
            row.style,
            number[row.label],
            "\n".join(tip(row)) if alone else "",
        )
        for row in shown
    ]
    title = f"{score_names(shown)} (%)"
    return draw_chart(dots, title, Axis.accuracy, width, height, of="measurements", target_ms=max_latency_ms, alone=alone)
