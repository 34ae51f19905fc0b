"""The report: one HTML file that needs no network, with the figures, the pictures and how they were measured."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from edgekd.report import figures, palette
from edgekd.report.details import embedded
from edgekd.report.markup import render, trusted
from edgekd.report.method import method_view
from edgekd.report.noise import noise
from edgekd.report.pictures import SampleRow, pictures_view
from edgekd.report.recommend import recommendations
from edgekd.report.repeats import repeats, repeats_view
from edgekd.report.row import Row
from edgekd.report.rows import read_rows
from edgekd.report.summary import summary, tiles
from edgekd.report.table import results_grid
from edgekd.report.words import listing, unique
from edgekd_runtime.decision import MIOU_DROP
from edgekd_runtime.files import write_text
from edgekd_runtime.measurement import Measurement

__all__ = ["SampleRow", "write_report"]

_SCRIPTS = ("row.js", "plot.js", "table.js")  # in the order of who uses whom


class Part(NamedTuple):
    """A section: its template is called after its anchor."""

    anchor: str
    heading: str
    view: Any


def write_report(
    results: Sequence[Measurement],
    out: Path,
    *,
    samples: Sequence[SampleRow] = (),
    title: str = "edgekd report",
    note: str = "",
    max_latency_ms: float | None = None,
    max_miou_drop: float = MIOU_DROP,
) -> None:
    """Write the page, atomically.

    Args:
        results: Measurements.
        out: The ``.html`` file.
        samples: Pictures to show, one scene per row.
        title: Heading of the page.
        note: A paragraph under it.
        max_latency_ms: Latency target: a line in the plot; rows beyond it are marked.
        max_miou_drop: For the recommendation: largest loss of mIoU against the most accurate file of the same model, in points.

    Raises:
        UsageError: If there are no results, or a picture is not RGB uint8.
        EdgeKDError: If a result is incomplete, or the file can't be written.
    """
    rows = read_rows(results)
    script = Markup('"use strict";\n') + Markup("").join(trusted(f"scripts/{name}") for name in _SCRIPTS)
    repeated = repeats(rows)
    page = render(
        "page.html",
        title=title,
        note=note,
        policy=policy(script),
        script=script,
        devices=listing((row.device for row in rows), 4),
        versions=listing(
            [f"{row.one.backend} {row.one.backend_version}" for row in rows]
            + [f"edgekd {row.one.device.get('edgekd_runtime', 'of unknown version')}" for row in rows]
        ),
        noise=noise([row.one for row in rows]),
        recommended=recommendations(rows, max_miou_drop, max_latency_ms),
        summary=summary(rows, repeated),
        tiles=tiles(rows, max_latency_ms),
        parts=[
            part
            for part in (
                Part("front", "Accuracy and latency", figures.front_view(rows, max_latency_ms)),
                Part("results", "Results", results_grid(rows, max_latency_ms)),
                Part("repeats", "Repeated trainings", repeats_view(repeated) if repeated else None),
                Part("histograms", "Latency histograms", figures.histograms_view(rows)),
                Part("classes", "IoU by class", figures.classes_view(rows)),
                Part("pictures", "Pictures", _pictures(samples, rows)),
                Part("method", "How it was measured", method_view(rows)),
            )
            if part.view
        ],
        data=embedded(rows),
        **palette.STYLE,
    )
    write_text(out, page + "\n")


def _pictures(samples: Sequence[SampleRow], rows: Sequence[Row]) -> dict[str, Any] | None:
    return pictures_view(samples, unique(row.about.classes for row in rows)) if samples else None


def policy(script: str = "") -> str:
    """What a page may load: nothing from outside, and no script but its own."""
    if not script:
        return "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
