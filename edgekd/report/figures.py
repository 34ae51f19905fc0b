"""The parts of the page around the table: the front, latency histograms, IoU by class."""

from collections.abc import Sequence
from typing import Any

from edgekd.report.pareto import draw, front_rows, plottable
from edgekd.report.row import Row, several_data_sets
from edgekd.report.stages import histograms
from edgekd.report.words import percent, plural, unique

_CARDS = 12
PLOTS = (("wide", 1280, 520), ("medium", 900, 470), ("narrow", 380, 400))
"""Class, width and height: one drawing stretched over every screen would have words too small on a phone and too large on a desk."""


def front_view(rows: Sequence[Row], max_latency_ms: float | None) -> dict[str, Any]:
    """The plot for every width of the screen, and its front as a list; no plots if no row can be plotted."""
    shown = plottable(rows)
    absent = len(rows) - len(shown)
    notes = []
    if len({row.device for row in shown}) > 1:
        notes.append("The latencies come from several devices.")
    if several_data_sets(shown):
        notes.append("The scores are of several data sets.")
    if absent:
        notes.append(f"{plural(absent, 'row')} without accuracy or latency {'is' if absent == 1 else 'are'} in the table only.")
    return {
        "plots": [(kind, draw(rows, width, height, max_latency_ms, alone=False)) for kind, width, height in PLOTS] if shown else [],
        "front": front_rows(rows),
        "notes": notes,
    }


def histograms_view(rows: Sequence[Row]) -> dict[str, Any] | None:
    """How the calls spread: a card for each row, of as many as can be read."""
    recorded = [row for row in rows if histograms(row)]
    if not recorded:
        return None
    shown = _first([*front_rows(recorded), *sorted(recorded, key=lambda row: row.p50)], recorded)
    return {"left_out": _left_out(shown, recorded), "cards": [(row, histograms(row)) for row in shown]}


def _first(wanted: Sequence[Row], rows: Sequence[Row]) -> list[Row]:
    """The first few that are wanted, as many as can be read, in the rows' own order."""
    kept = set(unique(row.label for row in wanted)[:_CARDS])
    return [row for row in rows if row.label in kept]


def _left_out(shown: Sequence[Row], rows: Sequence[Row]) -> str:
    if len(shown) == len(rows):
        return ""
    return f"{len(shown)} of {len(rows):,}; select a name in the table, or a point in the plot, for another."


def classes_view(rows: Sequence[Row]) -> list[dict[str, Any]] | None:
    """IoU of every class as bars, one for each row; a group of cards for each set of classes."""
    scored = [row for row in rows if row.iou]
    groups = []
    for classes in unique(row.about.classes for row in scored):
        members = [row for row in scored if row.about.classes == classes]
        shown = _first(sorted(members, key=lambda row: -(row.miou or 0.0)), members)
        cards: list[dict[str, Any]] = [{"title": "All classes, mean", "paint": None, "bars": _bars([(row, row.miou) for row in shown])}]
        for index, (name, paint) in enumerate(zip(classes.names, classes.palette, strict=True)):
            cards.append({"title": name, "paint": paint, "bars": _bars([(row, row.iou[index]) for row in shown])})
        groups.append({"left_out": _left_out(shown, members), "cards": cards})
    return groups or None


def _bars(values: Sequence[tuple[Row, float | None]]) -> list[dict[str, Any]]:
    best = max((value for _, value in values if value is not None), default=None)
    several = len(values) > 1
    return [
        {
            "row": row,
            "width": None if value is None else f"{100 * value:.1f}",
            "words": percent(value, 1),
            "best": several and value is not None and value == best,
        }
        for row, value in values
    ]
