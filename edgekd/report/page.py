"""The report: one HTML file that needs no network, with the figures, the pictures and how they were measured."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from edgekd.report import palette, sections
from edgekd.report.details import embedded
from edgekd.report.markup import listing, text, unique
from edgekd.report.pareto import draw, plottable
from edgekd.report.pictures import SampleRow, pictures_section
from edgekd.report.row import Row
from edgekd.report.rows import read_rows
from edgekd.report.summary import summary, tiles
from edgekd.report.table import results_section
from edgekd_runtime.files import write_text
from edgekd_runtime.measurement import Measurement

__all__ = ["SampleRow", "write_report"]

_HERE = Path(__file__).parent
# one drawing stretched over every screen would have words too small on a phone and too large on a desk
_SCRIPTS = ("row.js", "plot.js", "table.js")  # in the order of who uses whom
_WITHOUT_SCRIPTS = "<noscript><style>.later{display:table-row}</style></noscript>"
_PLOTS = (("wide", 1280, 520), ("medium", 900, 470), ("narrow", 380, 400))


def write_report(
    results: Sequence[Measurement], out: Path, *, samples: Sequence[SampleRow] = (), title: str = "edgekd report", note: str = ""
) -> None:
    """Write the page, atomically.

    Args:
        results: Measurements.
        out: The ``.html`` file.
        samples: Pictures to show, a scene a row.
        title: Heading of the page.
        note: A paragraph under it.

    Raises:
        UsageError: If there are no results, or a picture is not RGB uint8.
        EdgeKDError: If a result is incomplete, or the file can't be written.
    """
    rows = read_rows(results)
    style = palette.page_css() + (_HERE / "page.css").read_text(encoding="utf-8")
    script = '"use strict";\n' + "".join((_HERE / "scripts" / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    body = _body(rows, samples, title, note)
    write_text(
        out,
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<title>{text(title)}</title><link rel="icon" href="data:,"><style>{style}</style>{_WITHOUT_SCRIPTS}</head>\n'
        f"<body>{body}{embedded(rows)}<script>{script}</script></body></html>\n",
    )


def _policy(script: str) -> str:
    """What the page may load: nothing from outside, and no script but its own."""
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _body(rows: Sequence[Row], samples: Sequence[SampleRow], title: str, note: str) -> str:
    parts = [("front", "Accuracy and latency", sections.front_section(rows, _plots(rows))), ("results", "Results", results_section(rows))]
    parts.append(("histograms", "Latency histograms", sections.histograms_section(rows)))
    parts.append(("classes", "IoU by class", sections.classes_section(rows)))
    parts.append(("pictures", "Pictures", pictures_section(samples, unique(row.classes for row in rows)) if samples else ""))
    parts.append(("method", "How it was measured", sections.method_section(rows)))
    present = [part for part in parts if part[2]]
    links = "".join(f'<a href="#{anchor}">{heading}</a>' for anchor, heading, _ in present)
    versions = listing(f"{row.backend} {row.backend_version}" for row in rows)
    runtime = listing(f"edgekd {row.machine.get('edgekd_runtime', 'of unknown version')}" for row in rows)
    return "\n".join(
        [
            f"<header><h1>{text(title)}</h1>",
            *([f'<p class="note">{text(note)}</p>'] if note else []),
            f'<p class="dim">{listing((row.device for row in rows), 4)} · {versions} · {runtime}</p>',
            f'<nav aria-label="Sections">{links}</nav></header>',
            f'<main><p class="summary">{summary(rows)}</p>{tiles(rows)}',
            *(markup for _, _, markup in present),
            "</main>",
        ]
    )


def _plots(rows: Sequence[Row]) -> str:
    """The plot once for every width of the screen; empty if no row can be plotted."""
    if not plottable(rows):
        return ""
    return "".join(f'<div class="{kind}">{draw(rows, width, height, tips=False)}</div>' for kind, width, height in _PLOTS)
