"""What the page tells of a single row when it is asked for: numbers, embedded as JSON, which its script draws."""

from collections.abc import Sequence
from typing import Any

from edgekd.report.palette import colour
from edgekd.report.row import Row
from edgekd.report.stages import histograms
from edgekd.report.words import milliseconds, percent, plain, unique


def tip(row: Row) -> list[str]:
    """A row in lines: its label, accuracy, latency, and what ran where."""
    one, about = row.one, row.about
    accuracy = [] if row.miou is None else [f"{percent(row.miou)} % {about.score_name}"]
    noisy = " (noisy)" if row.noisy else ""
    latency = [f"p50 {milliseconds(row.p50)} ms, p99 {milliseconds(row.network.p99_ms)} ms{noisy}"] if row.network else []
    run = (f", {one.threads} threads" if one.threads else "") + (f", batch {one.batch}" if one.batch > 1 else "")
    return [
        row.label,
        *accuracy,
        *latency,
        f"{about.model}, {about.method}, {about.precision}",
        f"{one.backend} on {row.device}{run}",
    ]


def embedded(rows: Sequence[Row]) -> dict[str, Any]:
    """The data block: every set of classes once, and each row's tooltip, IoU by class in tenths of a percent, histograms and warnings."""
    sets = unique(row.about.classes for row in rows)
    number = {classes: index for index, classes in enumerate(sets)}
    return {
        "sets": [[[plain(name), paint] for name, paint in zip(one.names, one.palette, strict=True)] for one in sets],
        "rows": [
            {
                "tip": [plain(line) for line in tip(row)],
                "colour": colour(row.style),
                "set": number[row.about.classes],
                "iou": [None if value is None else round(1000 * value) for value in row.iou],
                "histograms": histograms(row),
                "warnings": [plain(sentence) for sentence in row.one.warnings],
            }
            for row in rows
        ],
    }
