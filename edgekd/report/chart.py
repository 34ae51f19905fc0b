"""A chart of latency against something that more is better of: points, their front, a target line and names, laid out for its template."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgekd.report import palette
from edgekd.report.axis import Axis
from edgekd.report.markup import render
from edgekd.report.placement import Box, Placed, label_width, place
from edgekd.report.words import shorten, unique

_LEFT, _RIGHT, _BOTTOM, _LINE = 56, 18, 50, 24
_HINT = "↖ better"
_LEGEND, _LABELS, _MANY = 16, 40, 200
_PHONE = 500  # below this width only the front has room for names


@dataclass(frozen=True)
class Dot:
    """What a point stands for.

    Attributes:
        latency: Positive, ms.
        value: More is better.
        label: Its name; where several have one, the first on the front or in order is named.
        kind: What the legend calls its colour and shape.
        style: Index of those.
        number: Of the table's row that it belongs to, for a script; None with a tooltip of its own.
        tip: That tooltip.
    """

    latency: float
    value: float
    label: str
    kind: str
    style: int
    number: int | None = None
    tip: str = ""


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
    """A dot's place, and how it is drawn."""

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
        title: Of the vertical axis.
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
    title: str
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
    """Which (latency, value) points no other beats in one without losing in the other.

    Returns:
        Their indices by rising latency; equal points are on the front together.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1])):
        if not front or points[index][1] > points[front[-1]][1] or points[index] == points[front[-1]]:
            front.append(index)
    return front


def draw_chart(
    dots: Sequence[Dot],
    title: str,
    axis: Callable[[Sequence[float], float, float], Axis],
    width: int,
    height: int,
    *,
    of: str,
    target_ms: float | None = None,
    alone: bool = True,
) -> Markup:
    """The chart as an SVG.

    Args:
        dots: At least one.
        title: Of the vertical axis.
        axis: Makes it, of values and the pixels of its ends.
        width: Of the drawing, in CSS pixels; it scales, and its text with it.
        height: Likewise.
        of: What the dots are, for those who can't see them.
        target_ms: Latency target, drawn as a line.
        alone: Let it bring its style.
    """
    front = pareto_front([(dot.latency, dot.value) for dot in dots])
    keys, top = _legend(dots, width)
    right, bottom = width - _RIGHT, height - _BOTTOM
    targets = [target_ms] if target_ms is not None else []
    x = Axis.latency([*(dot.latency for dot in dots), *targets], _LEFT, right)
    y = axis([dot.value for dot in dots], bottom, top)
    spots = [(x(dot.latency), y(dot.value)) for dot in dots]
    steps = _steps([spots[index] for index in front], right)
    crowded = len(dots) > _LABELS
    scale = 0.5 if len(dots) > _MANY else 0.75 if crowded else 1.0
    others = [] if crowded or width < _PHONE else [index for index in range(len(dots)) if index not in set(front)]
    lines = [_target(x(one), one, bottom, right, spots) for one in targets]
    kept = [_hint_box(top), *(box for _, boxes in lines for box in boxes)]
    on_front = set(front)
    best = ", ".join(unique(dots[index].label for index in front)[:12])
    plot = Plot(
        width=width,
        height=height,
        left=_LEFT,
        right=right,
        top=top,
        bottom=bottom,
        summary=f"Network latency against {title.removesuffix(' (%)')} of {len(dots)} {of}; on the Pareto front: {best}.",
        title=title + (", log scale" if y.logarithmic else ""),
        hint=_HINT,
        keys=keys,
        x=x,
        y=y,
        steps=steps,
        target=next((line for line, _ in lines), None),
        points=[
            Point(
                *spots[index],
                style=dots[index].style,
                on_front=index in on_front,
                scale=max(scale, 0.75) if index in on_front else scale,
                number=dots[index].number,
                tip=dots[index].tip,
            )
            for index in sorted(range(len(dots)), key=lambda index: index in on_front)  # the front is drawn last, on top
        ],
        names=place(_named(dots, spots, [*front[:_LABELS], *others]), spots, steps, (_LEFT, top, right, bottom), kept),
        alone=alone,
    )
    return render("plot.svg", plot=plot, **palette.STYLE)


def _named(dots: Sequence[Dot], spots: Sequence[tuple[float, float]], order: Sequence[int]) -> list[tuple[float, float, str]]:
    """Places and names, each name once."""
    first: dict[str, int] = {}
    for index in order:
        first.setdefault(dots[index].label, index)
    return [(*spots[index], shorten(label, 34)) for label, index in first.items()]


def _legend(dots: Sequence[Dot], width: int) -> tuple[list[Key], int]:
    """Kinds in as many lines as they need; returns the entries and where the plot may begin."""
    styles = {dot.kind: dot.style for dot in dots}
    kinds = unique(dot.kind for dot in dots)
    entries = [(shorten(kind, 24), f"m{palette.colour(styles[kind])}", palette.shape(styles[kind])) for kind in kinds[:_LEGEND]]
    if len(kinds) > _LEGEND:
        entries.append((f"and {len(kinds) - _LEGEND} more methods", "", ""))
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
