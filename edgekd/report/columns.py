"""The benchmark as a table of text: which columns it has, for the terminal and for Markdown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd_runtime.artifact import AGREEMENT
from edgekd_runtime.files import write_text
from edgekd_runtime.measurement import Measurement


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        head: Its heading.
        cell: What stands under it.
        shown: Whether these measurements need it.
        narrow: Whether they need it in a terminal, which has room for 80 letters.
    """

    head: str
    cell: Callable[[Measurement], str]
    shown: Callable[[Sequence[Measurement]], bool] = lambda measured: True
    narrow: Callable[[Sequence[Measurement]], bool] = lambda measured: True


def _varies(key: Callable[[Measurement], object]) -> Callable[[Sequence[Measurement]], bool]:
    return lambda measured: len({key(one) for one in measured}) > 1


def _never(measured: Sequence[Measurement]) -> bool:
    return False


def _p50(one: Measurement) -> str:
    """Median latency of the network; a noisy one is marked."""
    network = one.latency["network"]
    return f"{'~' * network.doubtful}{network.p50_ms:.2f}"


def _stage(name: str) -> Callable[[Measurement], str]:
    return lambda one: f"{one.latency[name].p50_ms:.2f}" if name in one.latency else "–"


def _score(head: str, name: str) -> Column:
    """The mean IoU where it is called so."""

    def is_it(one: Measurement) -> bool:
        return one.artifact.score_name == name

    return Column(
        head,
        lambda one: f"{100 * one.accuracy.miou:.2f}" if one.accuracy and is_it(one) else "–",
        lambda measured: any(map(is_it, measured)),
    )


_LEGEND = "p50 (~: noisy), p99 and IQR (interquartile range, % of p50) are of the network; RAM is the peak in MB; e2e is the whole frame."
COLUMNS = (
    Column("model", lambda one: one.artifact.name),
    Column("backend", lambda one: one.backend, narrow=_varies(lambda one: one.backend)),
    Column("threads", lambda one: str(one.threads or "–"), _varies(lambda one: one.threads)),
    Column("batch", lambda one: str(one.batch), lambda measured: any(one.batch > 1 for one in measured)),
    _score("mIoU %", "mIoU"),
    _score("agreement %", AGREEMENT),
    Column("p50", _p50),
    Column("p99", lambda one: f"{one.latency['network'].p99_ms:.2f}"),
    Column("IQR %", lambda one: f"{100 * one.latency['network'].spread:.1f}", narrow=_never),
    Column("decode", _stage("decode"), lambda measured: any("decode" in one.latency for one in measured), narrow=_never),
    Column("pre", _stage("preprocess"), narrow=_never),
    Column("post", _stage("postprocess"), narrow=_never),
    Column("e2e", _stage("end_to_end")),
    Column("img/s", lambda one: f"{one.images_per_second:.1f}", narrow=lambda measured: any(one.batch > 1 for one in measured)),
    Column("MB", lambda one: f"{one.size_bytes / 1e6:.1f}"),
    Column("RAM", lambda one: f"{one.peak_memory_bytes / 1e6:.0f}" if one.peak_memory_bytes else "–"),
    Column(
        "J/img",
        lambda one: f"{one.energy['end_to_end'].joules_per_frame:.3f}" if one.energy else "–",
        lambda measured: any(one.energy for one in measured),
    ),
)


def label(one: Measurement) -> str:
    """What tells one measurement from the others, in words."""
    threads = f", {one.threads} threads" if one.threads else ""
    batch = f", batch {one.batch}" if one.batch > 1 else ""
    return f"{one.artifact.name} on {one.backend}{threads}{batch}"


def cells(measured: Sequence[Measurement], narrow: bool = False) -> tuple[list[str], list[list[str]]]:
    """Headings and rows; those for a narrow terminal, or all."""
    columns = [column for column in COLUMNS if column.shown(measured) and (not narrow or column.narrow(measured))]
    return [column.head for column in columns], [[column.cell(one) for column in columns] for one in measured]


def title(measured: Sequence[Measurement]) -> str:
    """What was measured on what."""
    device = measured[0].device
    sizes = ", ".join(dict.fromkeys(f"{one.artifact.size[0]}x{one.artifact.size[1]}" for one in measured))
    libraries = ", ".join(sorted({f"{one.backend} {one.backend_version}" for one in measured}))
    return f"{sizes} on {device.get('name', 'unknown device')} ({device.get('cores', '?')} cores), ms; {libraries}"


def write_markdown(path: Path, measured: Sequence[Measurement]) -> None:
    """The table as Markdown, with the warnings under it."""
    heads, rows = cells(measured)
    rule = ["---", "---", *("---:" for _ in heads[2:])]
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in (heads, rule, *rows)]
    notes = [f"- {label(one)}: {sentence}" for one in measured for sentence in one.warnings]
    write_text(path, "\n".join([f"{title(measured)}. {_LEGEND}", "", *lines, *([""] if notes else []), *notes]) + "\n")
