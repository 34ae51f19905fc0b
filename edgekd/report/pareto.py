"""Latency against mIoU as an SVG that stands alone: points by method, and the front that no measured model beats."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgekd.report import palette
from edgekd.report.axis import Axis
from edgekd.report.details import tip
from edgekd.report.markup import render
from edgekd.report.placement import Box, Placed, label_width, place
from edgekd.report.row import Row, score_names
from edgekd.report.rows import read_rows
from edgekd.report.words import shorten, unique
from edgekd_runtime.errors import UsageError
from edgekd_runtime.measurement import Measurement

_LEFT, _RIGHT, _BOTTOM, _LINE = 56, 18, 50, 24
_HINT = "↖ better"
_LEGEND, _LABELS, _MANY = 16, 40, 200
_PHONE = 500  # below this width only the front has room for names


@dataclass(frozen=True)
class Key:
    """An entry of the legend: its place, its words, and the class and path data of its symbol, if it has one."""

    left: float
    baseline: int
    words: str
    symbol: str
    path: str


@dataclass(frozen=True)
class Point:
    """A row's place, and how it is drawn; its tooltip, or its number for a script that knows the words."""

    x: float
    y: float
    style: int
    on_front: bool
    scale: float
    number: int | None
    tip: str


@dataclass(frozen=True)
class Target:
    """The line of the latency that is asked for, and where its name stands."""

    x: float
    at: float
    baseline: float
    anchor: str
    words: str


@dataclass(frozen=True)
class Plot:
    """What the template draws; lengths are CSS pixels.

    Attributes:
        left, right, top, bottom: The plot's frame.
        steps: Corners of the front's step line.
        alone: Whether it brings its own style and tooltips.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    summary: str
    score: str
    hint: str
    keys: list[Key]
    x: Axis
    y: Axis
    steps: list[tuple[float, float]]
    target: Target | None
    points: list[Point]
    names: list[Placed]
    alone: bool

    @property
    def line(self) -> str:
        """The front as path data."""
        return "L".join(f"{x:.1f} {y:.1f}" for x, y in self.steps)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Which (latency, mIoU) points no other beats in one without losing in the other.

    Returns:
        Their indices by rising latency; equal points are on the front together.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1])):
        if not front or points[index][1] > points[front[-1]][1] or points[index] == points[front[-1]]:
            front.append(index)
    return front


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
    return render("plot.svg", plot=_plot(rows, width, height, max_latency_ms, alone), **palette.STYLE)


def _plot(rows: Sequence[Row], width: int, height: int, max_latency_ms: float | None, alone: bool) -> Plot:
    shown = plottable(rows)
    if not shown:
        raise UsageError("No result has an accuracy to plot; measure it with `edgekd bench` (without --no-accuracy).")
    front = front_rows(shown)
    keys, top = _legend(shown, width)
    right, bottom = width - _RIGHT, height - _BOTTOM
    target = [max_latency_ms] if max_latency_ms is not None else []
    x = Axis.latency([*(row.p50 for row in shown), *target], _LEFT, right)
    y = Axis.accuracy([100 * (row.miou or 0.0) for row in shown], bottom, top)
    spots = {row.label: (x(row.p50), y(100 * (row.miou or 0.0))) for row in shown}
    steps = _steps([spots[row.label] for row in front], right)
    on_front = {row.label for row in front}
    crowded = len(shown) > _LABELS
    scale = 0.5 if len(shown) > _MANY else 0.75 if crowded else 1.0
    number = {row.label: None if alone else index for index, row in enumerate(rows)}
    named = front[:_LABELS] if crowded or width < _PHONE else [*front, *(row for row in shown if row.label not in on_front)]
    lines = [_target(x(one), one, bottom, right, list(spots.values())) for one in target]
    kept = [_hint_box(top), *(box for _, boxes in lines for box in boxes)]
    return Plot(
        width=width,
        height=height,
        left=_LEFT,
        right=right,
        top=top,
        bottom=bottom,
        summary=_summary(shown, front),
        score=score_names(shown),
        hint=_HINT,
        keys=keys,
        x=x,
        y=y,
        steps=steps,
        target=next((line for line, _ in lines), None),
        points=[
            Point(
                *spots[row.label],
                style=row.style,
                on_front=row.label in on_front,
                scale=max(scale, 0.75) if row.label in on_front else scale,
                number=number[row.label],
                tip="\n".join(tip(row)) if alone else "",
            )
            for row in sorted(shown, key=lambda row: row.label in on_front)  # the front is drawn last, on top
        ],
        names=place(
            [(*spots[row.label], shorten(row.label, 34)) for row in named],
            list(spots.values()),
            steps,
            (_LEFT, top, right, bottom),
            kept,
        ),
        alone=alone,
    )


def _summary(shown: Sequence[Row], front: Sequence[Row]) -> str:
    best = ", ".join(row.label for row in front[:12])
    return f"Network latency against {score_names(shown)} of {len(shown)} measurements; on the Pareto front: {best}."


def _legend(rows: Sequence[Row], width: int) -> tuple[list[Key], int]:
    """Methods in as many lines as they need; returns the entries and where the plot may begin."""
    styles = {row.about.method: row.style for row in rows}
    methods = unique(row.about.method for row in rows)
    entries = [(shorten(method, 24), f"m{palette.colour(styles[method])}", palette.shape(styles[method])) for method in methods[:_LEGEND]]
    if len(methods) > _LEGEND:
        entries.append((f"and {len(methods) - _LEGEND} more methods", "", ""))
    entries += [("Pareto front", "front", "M-9 4H0V-4H9"), ("not on the front", "m0 hollow", palette.shape(1))]
    keys, left, line = [], float(_LEFT), 1
    for words, symbol, path in entries:
        needed = label_width(words) + 38
        if left + needed > width and left > _LEFT:
            left, line = _LEFT, line + 1
        keys.append(Key(left, line * _LINE - 2, words, symbol, path))
        left += needed
    return keys, line * _LINE + 18


def _target(x: float, milliseconds: float, bottom: float, right: float, spots: Sequence[tuple[float, float]]) -> tuple[Target, list[Box]]:
    """The line of a latency target, its name where no point is, as low as possible; and the boxes that names keep free."""
    words = f"target {milliseconds:g} ms"
    width = label_width(words)
    anchor, left = ("start", x + 6) if x + 6 + width < right else ("end", x - 6 - width)
    near = [y for spot, y in spots if left - 10 < spot < left + width + 10]
    heights = [bottom - 8 - step for step in range(0, 200, 20)]
    baseline = next((one for one in heights if not any(one - 24 < y < one + 14 for y in near)), heights[0])
    boxes = [(left, baseline - 14, left + width, baseline + 5)]
    return Target(x, left if anchor == "start" else x - 6, baseline, anchor, words), boxes


def _hint_box(top: int) -> Box:
    """Where the words are that say which way is better."""
    return _LEFT + 8, top + 3, _LEFT + 8 + label_width(_HINT), top + 20


def _steps(spots: Sequence[tuple[float, float]], right: float) -> list[tuple[float, float]]:
    """Corners of the step line: the best mIoU that each latency allows."""
    corners = [spots[0]]
    for spot in spots[1:]:
        corners += [(spot[0], corners[-1][1]), spot]
    return [*corners, (right, corners[-1][1])]
