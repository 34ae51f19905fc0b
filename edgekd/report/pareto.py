"""Latency against mIoU as an SVG that stands alone: points by method, and the front that no measured model beats."""

import math
from collections.abc import Sequence

from edgekd.report import palette
from edgekd.report.axis import Axis
from edgekd.report.details import tip
from edgekd.report.markup import shorten, text, unique
from edgekd.report.placement import Box, Placed, label_width, place
from edgekd.report.row import Row, score_names
from edgekd.report.rows import read_rows
from edgekd_runtime.errors import UsageError
from edgekd_runtime.measurement import Measurement

_LEFT, _RIGHT, _BOTTOM, _LINE = 56, 18, 50, 24
_HINT = "↖ better"
_LEGEND, _LABELS, _MANY = 16, 40, 200


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


def pareto_svg(results: Sequence[Measurement], *, width: int = 900, height: int = 460) -> str:
    """The plot of measurements.

    Args:
        results: Measurements.
        width: Of the drawing, in CSS pixels; it scales, and its text with it.
        height: Likewise.

    Raises:
        UsageError: If there are no results, or none has an accuracy.
    """
    return draw(read_rows(results), width, height)


def draw(rows: Sequence[Row], width: int, height: int, tips: bool = True) -> str:
    """The plot of rows; `pareto_svg` for results.

    Args:
        rows: What to plot.
        width: Of the drawing, in CSS pixels.
        height: Likewise.
        tips: Let every point bring its tooltip; without, its row's number, for a script that knows the words.
    """
    shown = plottable(rows)
    if not shown:
        raise UsageError("No result has an accuracy to plot; measure it with `edgekd bench` (without --no-accuracy).")
    front = front_rows(shown)
    legend, top = _legend(shown, width)
    x = Axis.latency([row.p50 for row in shown], _LEFT, width - _RIGHT)
    y = Axis.accuracy([100 * (row.miou or 0.0) for row in shown], height - _BOTTOM, top)
    spots = {row.label: (x(row.p50), y(100 * (row.miou or 0.0))) for row in shown}
    steps = _steps([spots[row.label] for row in front], width - _RIGHT)
    on_front = {row.label for row in front}
    crowded = len(shown) > _LABELS
    named = front[:_LABELS] if crowded else [*front, *(row for row in shown if row.label not in on_front)]
    frame = (_LEFT, top, width - _RIGHT, height - _BOTTOM)
    placed = place([(*spots[row.label], shorten(row.label, 34)) for row in named], list(spots.values()), steps, frame, [_hint_box(top)])
    best = ", ".join(row.label for row in front[:12])
    summary = f"Network latency against {score_names(shown)} of {len(shown)} measurements; on the Pareto front: {best}."
    inside = {row.label: _title(row) if tips else "" for row in shown}
    number = {row.label: "" if tips else f' data-row="{index}"' for index, row in enumerate(rows)}
    points = sorted(shown, key=lambda row: row.label in on_front)  # the front is drawn last, on top
    scale = 0.5 if len(shown) > _MANY else 0.75 if crowded else 1.0
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="edgekd-plot" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label="{text(summary)}"><style>{palette.svg_css()}</style>',
            f'<rect class="ground" width="{width}" height="{height}" rx="10"/>',
            legend,
            _axes(x, y, width, height, top, score_names(shown)),
            _front(steps, height - _BOTTOM),
            *(_point(row, spots[row.label], row.label in on_front, scale, number[row.label], inside[row.label]) for row in points),
            *(_label(one) for one in placed),
            "</svg>",
        ]
    )


def _legend(rows: Sequence[Row], width: int) -> tuple[str, int]:
    """Methods in as many lines as they need; returns the markup and where the plot may begin."""
    styles = {row.method: row.style for row in rows}
    methods = unique(row.method for row in rows)
    entries: list[tuple[str, str]] = [
        (shorten(method, 24), f'<path class="m{palette.colour(styles[method])}" d="{palette.shape(styles[method])}"/>')
        for method in methods[:_LEGEND]
    ]
    if len(methods) > _LEGEND:
        entries.append((f"and {len(methods) - _LEGEND} more methods", ""))
    entries += [("Pareto front", '<path class="front" d="M-9 4H0V-4H9"/>'), ("beaten", f'<path class="m0 hollow" d="{palette.shape(1)}"/>')]
    parts, left, line = [], float(_LEFT), 1
    for words, symbol in entries:
        needed = label_width(words) + 38
        if left + needed > width and left > _LEFT:
            left, line = _LEFT, line + 1
        baseline = line * _LINE - 2
        indent = 20 if symbol else 4
        parts.append(
            f'<g transform="translate({left + 8:.1f} {baseline - 4})">{symbol}</g>'
            f'<text class="key" x="{left + indent:.1f}" y="{baseline}">{text(words)}</text>'
        )
        left += needed
    return "".join(parts), line * _LINE + 18


def _axes(x: Axis, y: Axis, width: int, height: int, top: int, score: str) -> str:
    bottom, right = height - _BOTTOM, width - _RIGHT
    scale = ", log scale" if x.logarithmic else ""
    lines = [f'<path class="grid" d="M{x(tick):.1f} {top}V{bottom}"/>' for tick in x.ticks]
    lines += [f'<path class="grid" d="M{_LEFT} {y(tick):.1f}H{right}"/>' for tick in y.ticks]
    words = [f'<text class="tick" text-anchor="middle" x="{x(tick):.1f}" y="{bottom + 18}">{tick:g}</text>' for tick in x.ticks]
    words += [f'<text class="tick" text-anchor="end" x="{_LEFT - 8}" y="{y(tick) + 4:.1f}">{tick:g}</text>' for tick in y.ticks]
    return "".join(
        [
            *lines,
            f'<path class="axis" d="M{_LEFT} {top}V{bottom}H{right}"/>',
            *words,
            f'<text class="title" text-anchor="middle" x="{(_LEFT + right) / 2}" y="{height - 10}">Network latency p50 (ms{scale})</text>',
            f'<text class="title" text-anchor="middle" transform="translate(15 {(top + bottom) / 2}) rotate(-90)">{score} (%)</text>',
            f'<text class="hint" x="{_LEFT + 8}" y="{top + 16}">{_HINT}</text>',
        ]
    )


def _hint_box(top: int) -> Box:
    """Where the words are that say which way is better."""
    return _LEFT + 8, top + 3, _LEFT + 8 + label_width(_HINT), top + 20


def _steps(spots: Sequence[tuple[float, float]], right: float) -> list[tuple[float, float]]:
    """Corners of the step line: the best mIoU that each latency allows."""
    corners = [spots[0]]
    for spot in spots[1:]:
        corners += [(spot[0], corners[-1][1]), spot]
    return [*corners, (right, corners[-1][1])]


def _front(steps: Sequence[tuple[float, float]], bottom: float) -> str:
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in steps)
    return f'<path class="beaten" d="M{steps[0][0]:.1f} {bottom}L{line}V{bottom}Z"/><path class="front" d="M{line}"/>'


def _label(placed: Placed) -> str:
    leader = f'<path class="leader" d="M{placed.leader}"/>' if placed.leader else ""
    return f'{leader}<text class="label" text-anchor="{placed.anchor}" x="{placed.x:.1f}" y="{placed.y:.1f}">{text(placed.words)}</text>'


def _title(row: Row) -> str:
    words = text("\n".join(tip(row)))
    return f'<title>{words}</title><circle class="touch" r="13"/>'


def _point(row: Row, spot: tuple[float, float], on_front: bool, scale: float, number: str, inside: str) -> str:
    kind, scale = ("", max(scale, 0.75)) if on_front else (" hollow", scale)
    smaller = f" scale({scale:g})" if scale != 1 else ""
    return (
        f'<g class="point"{number} transform="translate({spot[0]:.1f} {spot[1]:.1f}){smaller}">{inside}'
        f'<path class="m{palette.colour(row.style)}{kind}" d="{palette.shape(row.style)}"/></g>'
    )
