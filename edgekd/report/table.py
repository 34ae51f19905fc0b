"""The table of results, a column for every figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from edgekd.report.markup import ABSENT, megabytes, milliseconds, percent, points, rate, text
from edgekd.report.palette import colour, shape
from edgekd.report.rows import BASELINE, Row

Value = float | str | None


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        group: The heading above those of its neighbours.
        title, unit: Its own heading.
        value: What it sorts by.
        show: Its markup; escaped.
        best: ``min`` or ``max`` where the best value is emphasised.
    """

    group: str
    title: str
    unit: str
    value: Callable[[Row], Value]
    show: Callable[[Row], str]
    best: str = ""


def _words(title: str, value: Callable[[Row], str]) -> Column:
    return Column("Model", title, "", value, lambda row: text(value(row)))


def _method(row: Row) -> str:
    mark = f'<path d="{shape(row.style)}"/>'
    return f'<svg class="mark m{colour(row.style)}" viewBox="-9 -9 18 18" aria-hidden="true">{mark}</svg>{text(row.method)}'


def _delta(row: Row) -> str:
    if row.delta is None:
        return '<span class="dim">baseline</span>' if row.method == BASELINE and row.miou is not None else ABSENT
    figure = points(row.delta)
    kind = {"+": "gain", "−": "loss"}.get(figure[0], "dim")
    return f'<span class="{kind}">{figure}</span>'


def _latency(percentile: str) -> Column:
    def value(row: Row) -> float | None:
        return getattr(row.network, percentile + "_ms") if row.network else None

    return Column("Network latency", percentile, "ms", value, lambda row: milliseconds(value(row)), "min")


def _end_to_end(row: Row) -> float | None:
    return row.end_to_end.p50_ms if row.end_to_end else None


def _throughput(row: Row) -> float | None:
    return row.network.throughput if row.network else None


_COLUMNS = (
    _words("Name", lambda row: row.name),
    _words("Architecture", lambda row: row.model),
    Column("Model", "Method", "", lambda row: row.method, _method),
    _words("Precision", lambda row: row.precision),
    _words("Backend", lambda row: row.backend),
    _words("Device", lambda row: row.device),
    Column("Model", "Input", "H×W", lambda row: row.size[0] * row.size[1], lambda row: f"{row.size[0]}×{row.size[1]}"),
    Column("Accuracy", "mIoU", "%", lambda row: row.miou, lambda row: percent(row.miou), "max"),
    Column("Accuracy", "Δ baseline", "pp", lambda row: row.delta, _delta),
    Column("Accuracy", "Pixel accuracy", "%", lambda row: row.pixel_accuracy, lambda row: percent(row.pixel_accuracy), "max"),
    *(_latency(percentile) for percentile in ("p50", "p90", "p99")),
    Column("Speed", "End to end", "p50, ms", _end_to_end, lambda row: milliseconds(_end_to_end(row)), "min"),
    Column("Speed", "Network", "images/s", _throughput, lambda row: rate(_throughput(row)), "max"),
    Column("File", "Size", "MB", lambda row: row.size_bytes, lambda row: megabytes(row.size_bytes), "min"),
    Column("File", "Parity", "% pixels", lambda row: row.agreement, lambda row: percent(row.agreement, 3)),
)


_DELTA = (
    "Δ baseline: mIoU minus that of the row with method <code>baseline</code> (of several, their mean), the same architecture, precision, "
    "classes and number of images, in percentage points. "
)
_NOTE = "Bold: the best of its column. Parity: share of pixels with the same class as PyTorch gives, measured at export."


def results_section(rows: Sequence[Row]) -> str:
    """The table in a box of its own that scrolls."""
    several_devices = len({row.device for row in rows}) > 1
    any_delta = any(row.delta is not None for row in rows)
    columns = [
        column for column in _COLUMNS if (several_devices or column.title != "Device") and (any_delta or not column.title.startswith("Δ"))
    ]
    groups = [
        f'<th colspan="{len(list(members))}" scope="colgroup">{name}</th>'
        for name, members in groupby(columns, lambda column: column.group)
    ]
    bests = [_best(column, rows) for column in columns]
    return (
        '<section id="results"><h2>Results</h2><div class="scroll" role="region" aria-label="Results" tabindex="0"><table class="sortable">'
        f"<thead><tr>{''.join(groups)}</tr><tr>{''.join(_heading(column) for column in columns)}</tr></thead>"
        f"<tbody>{''.join(_line(row, columns, bests) for row in rows)}</tbody></table></div>"
        f'<p class="dim">{_DELTA if any_delta else ""}Select a heading to sort. {_NOTE}</p></section>'
    )


def _best(column: Column, rows: Sequence[Row]) -> Value:
    values = [value for row in rows if isinstance(value := column.value(row), (int, float))]
    if not column.best or len(rows) < 2 or not values:
        return None
    return min(values) if column.best == "min" else max(values)


def _heading(column: Column) -> str:
    unit = f" <small>{text(column.unit)}</small>"
    first = ' data-first="descending"' if column.best == "max" or column.unit == "pp" else ""
    numeric = "" if column.group == "Model" else ' class="number"'
    return f'<th scope="col" aria-sort="none"{numeric}{first}><button type="button">{text(column.title)}{unit}</button></th>'


def _line(row: Row, columns: Sequence[Column], bests: Sequence[Value]) -> str:
    cells = []
    for column, best in zip(columns, bests, strict=True):
        value, shown = column.value(row), column.show(row)
        if isinstance(value, str):
            tag = "th" if column.title == "Name" else "td"
            scope = ' scope="row"' if tag == "th" else ""
            cells.append(f"<{tag}{scope}>{shown}</{tag}>")
            continue
        key = "" if value is None else f"{value:.7g}"
        words = f"<b>{shown}</b>" if best is not None and value == best else shown
        numeric = "" if column.group == "Model" else ' class="number"'
        cells.append(f'<td{numeric} data-value="{key}">{words}</td>')
    return f"<tr>{''.join(cells)}</tr>"
