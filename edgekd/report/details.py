"""What the page tells of a single row when it is asked for: numbers, embedded as JSON, which its script draws."""

import json
from collections.abc import Sequence

from edgekd.report.markup import milliseconds, percent, plain, unique
from edgekd.report.palette import colour
from edgekd.report.row import Row
from edgekd.report.stages import histograms


def tip(row: Row) -> list[str]:
    """A row in lines: its label, accuracy, latency, and what ran where."""
    accuracy = [] if row.miou is None else [f"{percent(row.miou)} % {row.score}"]
    latency = [f"p50 {milliseconds(row.p50)} ms, p99 {milliseconds(row.network.p99_ms)} ms"] if row.network else []
    run = (f", {row.threads} threads" if row.threads else "") + (f", batch {row.batch}" if row.batch > 1 else "")
    return [
        row.label,
        *accuracy,
        *latency,
        f"{row.model}, {row.method}, {row.precision}",
        f"{row.backend} on {row.device}{run}",
    ]


def embedded(rows: Sequence[Row]) -> str:
    """The data block: every set of classes once, and each row's tooltip, IoU by class in tenths of a percent, histograms and warnings."""
    sets = unique(row.classes for row in rows)
    number = {classes: index for index, classes in enumerate(sets)}
    document = {
        "sets": [[[plain(name), paint] for name, paint in zip(one.names, one.palette, strict=True)] for one in sets],
        "rows": [
            {
                "tip": [plain(line) for line in tip(row)],
                "colour": colour(row.style),
                "set": number[row.classes],
                "iou": [None if value is None else round(1000 * value) for value in row.iou],
                "histograms": histograms(row),
                "warnings": [plain(sentence) for sentence in row.warnings],
            }
            for row in rows
        ],
    }
    words = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f'<script type="application/json" id="data">{words.replace("<", chr(92) + "u003c")}</script>'
