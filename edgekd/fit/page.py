"""What came out as one offline page, in the report's style: charts of latency against what a network has room for, and all figures."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.export.precision import PRECISIONS
from edgekd.fit.choice import Form, Limits, Tried, best
from edgekd.fit.table import failures, noise, nothing, verdict
from edgekd.report import palette
from edgekd.report.axis import Axis
from edgekd.report.chart import Dot, draw_chart, pareto_front
from edgekd.report.figures import PLOTS
from edgekd.report.grid import Cell, Grid, Head
from edgekd.report.markup import render
from edgekd.report.page import policy
from edgekd.report.words import ABSENT, milliseconds, significant
from edgekd_runtime.files import write_text

PAGE = "fit.html"
_METHOD = (
    "Each candidate was built untrained and exported as it would ship: a trained network's graph, operator by operator, with "
    "numbers such as training leaves. Latency is the p50 of the bare network call, in two sweeps, once down the list and once "
    "back; the quicker one counts. Memory is the peak of a process that runs the file, beyond an idle Python. Published accuracy "
    "is for Cityscapes, at the size of the publication; which candidate is the most accurate on your data only training tells."
)


class Room(NamedTuple):
    """A chart: what stands on its vertical axis, of which candidates, and how the axis is made."""

    anchor: str
    heading: str
    title: str
    unit: str
    value: Callable[[Tried], float | None]
    axis: Callable[[Sequence[float], float, float], Axis]
    note: str


ROOMS = (
    Room(
        "published",
        "Latency and published accuracy",
        "published Cityscapes mIoU (%)",
        "% mIoU",
        lambda one: one.capacity.published.miou if one.capacity.published else None,
        Axis.accuracy,
        "No other candidate with a published accuracy is both faster and more accurate than one of these.",
    ),
    Room(
        "work",
        "Latency and multiply-adds",
        "10⁹ multiply-adds",
        "· 10⁹ multiply-adds",
        lambda one: one.capacity.gmacs,
        Axis.latency,
        "More multiply-adds are room for accuracy, and no promise of it. No other candidate is both faster and larger than one of these.",
    ),
)


def write_page(tried: Sequence[Tried], limits: Limits, about: Sequence[str], recipe: str, out: Path) -> None:
    """Write ``fit.html``, atomically.

    Args:
        tried: What was measured.
        limits: What fits.
        about: Device, size and the like, for the head.
        recipe: Lines of the best; empty where nothing fits.
        out: Folder.
    """
    charts = [_chart(room, dots, limits) for room in ROOMS if (dots := _dots(tried, room, limits))]
    page = render(
        "fit.html",
        title="Which student fits",
        policy=policy(),
        about=about,
        noise=noise(tried),
        sentences=verdict(tried, limits) if best(tried, limits) else [nothing(tried, limits)],
        charts=charts,
        figures=_figures(tried, limits),
        failures=failures(tried),
        recipe=recipe,
        method=_METHOD,
        **palette.STYLE,
    )
    write_text(out / PAGE, page + "\n")


def _dots(tried: Sequence[Tried], room: Room, limits: Limits) -> list[Dot]:
    return [
        Dot(form.ms, value, one.label, name, PRECISIONS.index(name), tip=_tip(one, form, limits))
        for one in tried
        if (value := room.value(one)) is not None
        for name, form in one.best_forms.items()
    ]


def _tip(one: Tried, form: Form, limits: Limits) -> str:
    fits = ("; fits" if form.fits(limits) else "; does not fit") if limits else ""
    memory = "" if form.memory_mib is None else f", {form.memory_mib:.0f} MiB"
    room = f"{significant(one.capacity.gmacs)} · 10⁹ multiply-adds, {significant(one.capacity.parameters_m)} M parameters"
    return f"{one.label}, {form.precision} on {form.backend}\n{_time(form)} ms{memory}{fits}\n{room}"


def _time(form: Form) -> str:
    return f"{'~' if form.noisy else ''}{milliseconds(form.ms)}"


def _chart(room: Room, dots: Sequence[Dot], limits: Limits) -> dict[str, Any]:
    how: dict[str, Any] = {"of": "candidates and precisions", "target_ms": limits.latency_ms, "alone": False}
    front = [dots[index] for index in pareto_front([(dot.latency, dot.value) for dot in dots])]
    plots = [(kind, draw_chart(dots, room.title, room.axis, width, height, **how)) for kind, width, height in PLOTS]
    return {"anchor": room.anchor, "heading": room.heading, "unit": room.unit, "note": room.note, "plots": plots, "front": front}


def _figures(tried: Sequence[Tried], limits: Limits) -> Grid:
    """Every candidate in every precision on every backend."""
    number = "number"
    units = ["precision", "backend", "p50, ms", "sweeps, ms", "peak, MiB", "parameters, M", "10⁹ multiply-adds", "published mIoU"]
    heads = [Head("candidate"), *(Head(unit, kind=number if index > 1 else "") for index, unit in enumerate(units))]
    lines = [_line(one, form, limits) for one in tried for form in one.forms]
    return Grid("Figures", [*heads, *([Head("fits")] if limits else [])], lines, scripted=False)


def _line(one: Tried, form: Form, limits: Limits) -> list[Cell]:
    published = f"{one.capacity.published.miou:.1f}" if one.capacity.published else ABSENT
    memory = ABSENT if form.memory_mib is None else f"{form.memory_mib:.0f}"
    sweeps = " / ".join(map(milliseconds, form.p50s))
    room = (f"{one.capacity.parameters_m:.2f}", significant(one.capacity.gmacs), published)
    fits = [Cell("yes" if form.fits(limits) else "no")] if limits else []
    numbers = [Cell(words, kind="number") for words in (_time(form), sweeps, memory, *room)]
    return [Cell(one.label), Cell(form.precision, style=PRECISIONS.index(form.precision)), Cell(form.backend), *numbers, *fits]
