"""The table of results, a column for every figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekd.report.compare import BASELINE, FULL
from edgekd.report.grid import Cell, Grid, Head
from edgekd.report.row import Row
from edgekd.report.stages import stage_title, stages
from edgekd.report.words import ABSENT, megabytes, milliseconds, percent, points, rate, significant
from edgekd_runtime.artifact import AGREEMENT
from edgekd_runtime.latency import SPREAD_LIMIT
from edgekd_runtime.power.sampler import Energy

Value = float | str | None
Rows = Sequence[Row]
_WRAPS = 22
ABOUT = "about"
"""Class of the columns that say what was measured; on a phone they give way to the figures."""


def _plain(row: Row) -> str:
    return ""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        group: The heading above those of its neighbours.
        title, unit: Its own heading.
        value: What it sorts by.
        show: Its words.
        best: ``min`` or ``max`` where the best value is emphasised.
        look: Class of a cell, e.g. ``gain``.
    """

    group: str
    title: str
    unit: str
    value: Callable[[Row], Value]
    show: Callable[[Row], str]
    best: str = ""
    look: Callable[[Row], str] = _plain

    @property
    def kind(self) -> str:
        """Class of its cells."""
        return {_MODEL: ABOUT, "": ""}.get(self.group, "number")

    def known(self, rows: Rows) -> bool:
        """Whether some row has a value."""
        return any(self.value(row) is not None for row in rows)

    def constant(self, rows: Rows) -> bool:
        """Whether it says the same of all rows, and nothing but what was measured."""
        return self.kind == ABOUT and len(rows) > 1 and len({self.value(row) for row in rows}) == 1

    def extreme(self, rows: Rows) -> Value:
        """The best value, if there are several."""
        values = [value for row in rows if isinstance(value := self.value(row), (int, float))]
        if not self.best or len(set(values)) < 2:
            return None
        return min(values) if self.best == "min" else max(values)

    def cell(self, row: Row, best: Value) -> Cell:
        """A row's."""
        value, words = self.value(row), self.show(row)
        style = row.style if self.title == _METHOD else None
        if self.title == _NAME:
            return Cell(words, more=row.label.removeprefix(words))
        if isinstance(value, str):
            return Cell(words, kind=f"{self.kind} long" if len(value) > _WRAPS else self.kind, style=style)
        key = "" if value is None else f"{value:.7g}"
        return Cell(words, key, f"{self.kind} {self.look(row)}".strip(), best is not None and value == best)


_MODEL, _METHOD, _NAME = "Model", "Method", "Name"


def _words(title: str, value: Callable[[Row], str], group: str = _MODEL) -> Column:
    return Column(group, title, "", value, value)


def _figure(
    group: str,
    title: str,
    unit: str,
    value: Callable[[Row], float | None],
    write: Callable[[float], str],
    best: str = "",
    look: Callable[[Row], str] = _plain,
) -> Column:
    def show(row: Row) -> str:
        return ABSENT if (figure := value(row)) is None else write(figure)

    return Column(group, title, unit, value, show, best, look)


def _difference(title: str, value: Callable[[Row], float | None], is_reference: Callable[[Row], bool], word: str) -> Column:
    """A difference of mIoU; the reference's own rows say so."""

    def show(row: Row) -> str:
        difference = value(row)
        if difference is None:
            return word if is_reference(row) and row.miou is not None else ABSENT
        return points(difference)

    def look(row: Row) -> str:
        return "dim" if value(row) is None else {"+": "gain", "−": "loss"}.get(show(row)[0], "dim")

    return Column("Compared", title, "pp", value, show, look=look)


def _p50(max_latency_ms: float | None) -> Column:
    """The median, told from noisy ones and from those beyond the target."""

    def show(row: Row) -> str:
        return ABSENT if not row.network else f"~{milliseconds(row.p50)}" if row.noisy else milliseconds(row.p50)

    def look(row: Row) -> str:
        beyond = max_latency_ms is not None and row.network is not None and row.p50 > max_latency_ms
        return "loss" if beyond else ""

    return Column("Result", "p50", "ms", lambda row: row.p50 if row.network else None, show, "min", look)


def _percentile(name: str) -> Column:
    def value(row: Row) -> float | None:
        return getattr(row.network, name + "_ms") if row.network else None

    return _figure("Network latency", name, "ms", value, milliseconds, "min")


def _stage(stage: str) -> Column:
    def value(row: Row) -> float | None:
        return row.one.latency[stage].p50_ms if stage in row.one.latency else None

    return _figure("Stages, p50", stage_title(stage), "ms", value, milliseconds, "min")


def _energy(title: str, unit: str, value: Callable[[Energy], float], best: str = "") -> Column:
    """Of the whole frame."""

    def figure(row: Row) -> float | None:
        return value(row.one.energy["end_to_end"]) if "end_to_end" in row.one.energy else None

    return _figure("Energy", title, unit, figure, significant, best)


def _score(title: str, names_agreement: bool) -> Column:
    return _figure(
        "Result", title, "%", lambda row: row.miou if (row.about.score_name == AGREEMENT) is names_agreement else None, percent, "max"
    )


def _spread(row: Row) -> float | None:
    return row.network.spread or None if row.network else None


def _columns(rows: Rows, max_latency_ms: float | None) -> list[Column]:
    """All there are: the result first, then what it is of, then everything else."""
    return [
        _words(_NAME, lambda row: row.about.name, ""),
        _score("mIoU", False),
        _score("Agreement with the teacher", True),
        _p50(max_latency_ms),
        _difference("Δ baseline", lambda row: row.delta, lambda row: row.about.method == BASELINE, BASELINE),
        _difference("Δ FP32", lambda row: row.delta_fp32, lambda row: row.about.precision == FULL, FULL),
        _figure("Compared", "vs FP32", "times as fast", lambda row: row.times_fp32, lambda ratio: f"{ratio:.2f}", "max"),
        _words("Architecture", lambda row: row.about.model),
        _words(_METHOD, lambda row: row.about.method),
        _words("Precision", lambda row: row.about.precision),
        _words("Backend", lambda row: row.one.backend),
        _words("Device", lambda row: row.device),
        Column(_MODEL, "Threads", "", lambda row: row.one.threads, lambda row: str(row.one.threads or "default")),
        Column(_MODEL, "Batch", "", lambda row: row.one.batch, lambda row: str(row.one.batch)),
        Column(_MODEL, "Input", "H×W", lambda row: row.about.size[0] * row.about.size[1], lambda row: "×".join(map(str, row.about.size))),
        _figure("Accuracy", "Pixel accuracy", "%", lambda row: row.pixel_accuracy, percent, "max"),
        _percentile("p90"),
        _percentile("p99"),
        _figure("Network latency", "IQR", "% of p50", _spread, lambda share: percent(share, 1), look=_noisy),
        *map(_stage, stages(rows)),
        _figure("Speed", "Network", "images/s", lambda row: row.throughput, rate, "max"),
        _energy("Per image", "J", lambda energy: energy.joules_per_frame, "min"),
        _energy("Power", "W", lambda energy: energy.watts),
        _figure("Memory", "Peak", "MB", lambda row: row.one.peak_memory_bytes or None, megabytes, "min"),
        _figure("File", "Size", "MB", lambda row: row.one.size_bytes, megabytes, "min"),
        _figure("File", "Parity", "% pixels", lambda row: row.parity, lambda share: percent(share, 3)),
    ]


def _noisy(row: Row) -> str:
    return "loss" if row.network and row.network.spread > SPREAD_LIMIT else ""


_NOTES = {
    "p50": "median latency of the network; ~: noisy, see the interquartile range; red: above the latency target.",
    "Δ baseline": "minus that of the row with method “baseline” (of several, their mean), the same architecture, precision, "
    "classes and number of images, in percentage points.",
    "Δ FP32": "minus that of the same weights in FP32.",
    "vs FP32": "p50 of the same weights in FP32 over p50, on the same device and backend, with the same threads and batch size; "
    "left out if one of the two is noisy.",
    "IQR": "interquartile range of the network’s latency; above 10 % of the median it is noisy.",
    "Batch": "images per call; latencies are per call.",
    "Per image": "energy of the end-to-end stage over its images.",
    "Peak": "peak memory of the process while the model loads and runs, without memory on a GPU.",
    "Parity": "share of pixels with the same class as PyTorch gives, measured at export.",
}


def results_grid(rows: Rows, max_latency_ms: float | None = None) -> Grid:
    """The table of all rows; columns that say the same of all are told once, above it."""
    known = [column for column in _columns(rows, max_latency_ms) if column.known(rows)]
    columns = [column for column in known if not column.constant(rows)]
    bests = [column.extreme(rows) for column in columns]
    titles = [column.title for column in columns]
    return Grid(
        name="Results",
        heads=[_head(column) for column in columns],
        lines=[[column.cell(row, best) for column, best in zip(columns, bests, strict=True)] for row in rows],
        sorts=True,
        common=[(column.title, column.show(rows[0])) for column in known if column.constant(rows)],
        notes={title: words for title, words in _NOTES.items() if title in titles},
    )


def _head(column: Column) -> Head:
    first = "descending" if column.best == "max" or column.unit == "pp" else ""
    return Head(column.title, column.unit, column.group, column.kind, first)
