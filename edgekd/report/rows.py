"""Measurements as rows, each with a label of its own and its distance from the baseline and from FP32."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgekd.report.compare import BASELINE, compared
from edgekd.report.naming import labels
from edgekd.report.row import Row
from edgekd.report.words import unique
from edgekd_runtime.errors import UsageError
from edgekd_runtime.measurement import Measurement

_TOLD_PARTS = 4  # run, export, precision, file


def read_rows(results: Sequence[Measurement]) -> list[Row]:
    """Measurements as rows, in their order; a page is passed on, so that absolute paths, which name people and machines, are shortened.

    Raises:
        UsageError: If there are none.
    """
    if not results:
        raise UsageError("There are no results to report; measure models with `edgekd bench` first.")
    rows = [Row(replace(one, path=short_path(one.path))) for one in results]
    styles = {method: index for index, method in enumerate(unique([BASELINE, *(row.about.method for row in rows)]))}
    named = zip(rows, labels(rows), strict=True)
    return compared([replace(row, label=label, style=styles[row.about.method]) for row, label in named])


def short_path(path: str) -> str:
    """An absolute path relative to the working folder, or its last parts where it lies elsewhere; a relative one unchanged."""
    found = Path(path)
    if not found.is_absolute():
        return path
    if found.is_relative_to(Path.cwd()):
        return str(found.relative_to(Path.cwd()))
    return str(Path(*found.parts[1:][-_TOLD_PARTS:]))
