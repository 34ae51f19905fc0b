"""The table of results, a column for every figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from edgekd.report.compare import BASELINE, FULL
from edgekd.report.markup import ABSENT, megabytes, milliseconds, percent, points, rate, scrolling, significant, text
from edgekd.report.palette import colour, shape
from edgekd.report.row import Row
from edgekd.report.stages import stage_title, stages
from edgekd_runtime.artifact import AGREEMENT
from edgekd_runtime.power.sampler import Energy

Value = float | str | None
_WRAPS, _LONG = 22, ' class="long"'


Rows = Sequence[Row]


def _known(column: "Column", rows: Rows) -> bool:
    return any(column.value(row) is not None for row in rows)


def _varies(column: "Column", rows: Rows) -> bool:
    return len({column.value(row) for row in rows}) > 1


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        group: The heading above those of its neighbours.
        title, unit: Its own heading.
        value: What it sorts by.
        show: Its markup; escaped.
        best: ``min`` or ``max`` where the best value is emphasised.
        needed: Whether these rows need it; by default if one of them has a value.
    """

    group: str
    title: str
    unit: str
    value: Callable[[Row], Value]
    show: Callable[[Row], str]
    best: str = ""
    needed: Callable[["Column", Rows], bool] = _known


def _words(title: str, value: Callable[[Row], str], needed: Callable[[Column, Rows], bool] = _known) -> Column:
    return Column("Model", title, "", value, lambda row: text(value(row)), needed=needed)


def _figure(
    group: str, title: str, unit: str, value: Callable[[Row], float | None], write: Callable[[float], str], best: str = ""
) -> Column:
    def show(row: Row) -> str:
        return ABSENT if (figure := value(row)) is None else write(figure)

    return Column(group, title, unit, value, show, best)


def _method(row: Row) -> str:
    mark = f'<path d="{shape(row.style)}"/>'
    return f'<svg class="mark m{colour(row.style)}" viewBox="-9 -9 18 18" aria-hidden="true">{mark}</svg>{text(row.method)}'


def _difference(title: str, value: Callable[[Row], float | None], is_reference: Callable[[Row], bool], word: str) -> Column:
    """A difference of mIoU; the reference's own rows say so."""

    def show(row: Row) -> str:
        difference = value(row)
        if difference is None:
            return f'<span class="dim">{word}</span>' if is_reference(row) and row.miou is not None else ABSENT
        figure = points(difference)
        kind = {"+": "gain", "−": "loss"}.get(figure[0], "dim")
        return f'<span class="{kind}">{figure}</span>'

    return Column("Accuracy", title, "pp", value, show)


def _latency(percentile: str) -> Column:
    def value(row: Row) -> float | None:
        return getattr(row.network, percentile + "_ms") if row.network else None

    return _figure("Network latency", percentile, "ms", value, milliseconds, "min")


def _stage(stage: str) -> Column:
    def value(row: Row) -> float | None:
        return row.stages[stage].p50_ms if stage in row.stages else None

    return _figure("Stages, p50", stage_title(stage), "ms", value, milliseconds, "min")


def _energy(title: str, unit: str, value: Callable[[Energy], float], best: str = "") -> Column:
    """Of the whole frame."""

    def figure(row: Row) -> float | None:
        return value(row.energy["end_to_end"]) if "end_to_end" in row.energy else None

    return _figure("Energy", title, unit, figure, significant, best)


_MODEL = (
    _words("Name", lambda row: row.name),
    _words("Architecture", lambda row: row.model),
    Column("Model", "Method", "", lambda row: row.method, _method),
    _words("Precision", lambda row: row.precision),
    _words("Backend", lambda row: row.backend),
    _words("Device", lambda row: row.device, _varies),
    Column("Model", "Threads", "", lambda row: row.threads, lambda row: str(row.threads or "default"), needed=_varies),
    Column(
        "Model", "Batch", "", lambda row: row.batch, lambda row: str(row.batch), needed=lambda _, rows: any(row.batch > 1 for row in rows)
    ),
    Column("Model", "Input", "H×W", lambda row: row.size[0] * row.size[1], lambda row: f"{row.size[0]}×{row.size[1]}"),
)
_ACCURACY = (
    _figure("Accuracy", "mIoU", "%", lambda row: row.miou if row.score != AGREEMENT else None, percent, "max"),
    _figure("Accuracy", "Agreement with the teacher", "%", lambda row: row.miou if row.score == AGREEMENT else None, percent, "max"),
    _difference("Δ baseline", lambda row: row.delta, lambda row: row.method == BASELINE, BASELINE),
    _difference("Δ FP32", lambda row: row.delta_fp32, lambda row: row.precision == FULL, FULL),
    _figure("Accuracy", "Pixel accuracy", "%", lambda row: row.pixel_accuracy, percent, "max"),
)
_LATENCY = (
    *(_latency(percentile) for percentile in ("p50", "p90", "p99")),
    _figure(
        "Network latency",
        "± p50",
        "%",
        lambda row: row.network.spread / 2 if row.network and row.network.spread else None,
        lambda share: percent(share, 1),
    ),
    _figure("Network latency", "vs FP32", "times as fast", lambda row: row.times_fp32, lambda ratio: f"{ratio:.2f}", "max"),
)
_COST = (
    _figure("Speed", "Network", "images/s", lambda row: row.throughput, rate, "max"),
    _energy("Per image", "J", lambda energy: energy.joules_per_frame, "min"),
    _energy("Power", "W", lambda energy: energy.watts),
    _figure("Memory", "Peak", "MB", lambda row: row.peak_memory, megabytes, "min"),
    _figure("File", "Size", "MB", lambda row: row.size_bytes, megabytes, "min"),
    _figure("File", "Parity", "% pixels", lambda row: row.agreement, lambda share: percent(share, 3)),
)


_NOTES = {
    "Δ baseline": "minus that of the row with method <code>baseline</code> (of several, their mean), the same architecture, precision, "
    "classes and number of images, in percentage points.",
    "Δ FP32": "minus that of the same weights in FP32.",
    "vs FP32": "p50 of the same weights in FP32 over p50, on the same device and backend, with as many threads and images a call; "
    "left out where one of the two was noisy.",
    "± p50": "half the distance of its quartiles.",
    "Batch": "images a call; latencies are of a call.",
    "Per image": "energy of the end-to-end stage over its images.",
    "Peak": "of the process’s memory, while the model loads and runs; memory on a GPU is not counted.",
    "Parity": "share of pixels with the same class as PyTorch gives, measured at export.",
}


def results_section(rows: Rows) -> str:
    """The table in a box of its own that scrolls."""
    timed = stages(rows)
    columns = [column for column in (*_MODEL, *_ACCURACY, *_LATENCY, *map(_stage, timed), *_COST) if column.needed(column, rows)]
    groups = [
        f'<th colspan="{len(list(members))}" scope="colgroup">{name}</th>'
        for name, members in groupby(columns, lambda column: column.group)
    ]
    bests = [_best(column, rows) for column in columns]
    head = f"<tr>{''.join(groups)}</tr><tr>{''.join(_heading(column) for column in columns)}</tr>"
    notes = " ".join(f"<b>{column.title}</b>: {_NOTES[column.title]}" for column in columns if column.title in _NOTES)
    return (
        '<section id="results"><h2>Results</h2>'
        f"{scrolling('Results', head, [_line(row, columns, bests) for row in rows])}"
        '<p class="dim">Select a heading to sort, a name for its histogram and classes. Bold: the best of its column. '
        f"{notes}</p></section>"
    )


def _best(column: Column, rows: Sequence[Row]) -> Value:
    values = [value for row in rows if isinstance(value := column.value(row), (int, float))]
    if not column.best or len(set(values)) < 2:
        return None
    return min(values) if column.best == "min" else max(values)


def _heading(column: Column) -> str:
    unit = f" <small>{text(column.unit)}</small>"
    first = ' data-first="descending"' if column.best == "max" or column.unit == "pp" else ""
    numeric = "" if column.group == "Model" else ' class="number"'
    return f'<th scope="col" aria-sort="none"{numeric}{first}><button type="button">{text(column.title)}{unit}</button></th>'


def _line(row: Row, columns: Sequence[Column], bests: Sequence[Value]) -> str:
    """The cells of a row, the first of which opens its details."""
    cells = []
    for column, best in zip(columns, bests, strict=True):
        value, shown = column.value(row), column.show(row)
        if isinstance(value, str):
            name = f'<th scope="row"><button type="button" class="open">{shown}</button></th>'
            cells.append(name if column.title == "Name" else f"<td{_LONG if len(value) > _WRAPS else ''}>{shown}</td>")
            continue
        key = "" if value is None else f"{value:.7g}"
        words = f"<b>{shown}</b>" if best is not None and value == best else shown
        numeric = "" if column.group == "Model" else ' class="number"'
        cells.append(f'<td{numeric} data-value="{key}">{words}</td>')
    return "".join(cells)
