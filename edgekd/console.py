"""What a person sees while something runs: a bar on a terminal, plain lines elsewhere; always on stderr."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol


class Update(Protocol):
    """Call with what is done, how much there is, and a note."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def note(text: str) -> None:
    """A line of log on stderr; lost where that is a terminal that has gone, which must not end what runs."""
    _say(text)


def _say(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(what: str, quiet: bool = False) -> Iterator[Update]:
    """Show progress with a rate and the time left.

    Args:
        what: Named in front.
        quiet: Show nothing, e.g. in all processes but the first.
    """
    if quiet:
        yield lambda done, total, note="": None
    elif sys.stderr.isatty():
        with _bar(what) as update:
            yield update
    else:
        yield _lines(what)


@contextmanager
def _bar(what: str) -> Iterator[Update]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task(what, total=None, note="")

    def update(done: int, total: int, note: str = "") -> None:
        with suppress(OSError):
            bar.update(task, completed=done, total=total or None, note=note)

    bar.start()
    try:
        yield update
    finally:
        with suppress(OSError):  # the terminal has gone
            bar.stop()


def _lines(what: str, every: float = 10.0) -> Update:
    begin = last = time.monotonic()
    first: tuple[int, float] | None = None

    def update(done: int, total: int, note: str = "") -> None:
        nonlocal first, last
        now = time.monotonic()
        first = first or (done, now)  # what is resumed was done before
        if now - last >= every or (done == total and now - begin > 2):
            last = now
            here, seconds = done - first[0], now - first[1]
            left = f", {duration(seconds / here * (total - done))} left" if here and total > done else ""
            _say(f"{what}: {done}/{total or '?'}{left}  {note}".rstrip())

    return update


def duration(seconds: float) -> str:
    """``75.2`` → ``1:15``; hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


_BETWEEN = 2  # letters that a table puts beside each column


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; numbers are right-aligned and never cut, text wraps between words, inside one only if it must."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    longest = [
        max((len(word) for cell in (name, *(row[index] for row in rows)) for word in cell.split()), default=0)
        for index, name in enumerate(header)
    ]
    whole = sum(longest) + _BETWEEN * len(header) <= console.width
    result = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for index, name in enumerate(header):
        if index and all(row[index][:1] in "0123456789+-–~" for row in rows):
            result.add_column(name, justify="right", min_width=max((len(row[index]) for row in rows), default=0))
        else:
            result.add_column(name, overflow="fold", min_width=longest[index] if whole else None)
    for row in rows:
        result.add_row(*row)
    console.print(result)
