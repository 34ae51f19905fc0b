"""What came out, in words and in the figures that a reader asks for first."""

from collections.abc import Sequence

from edgekd.report.markup import megabytes, milliseconds, percent, plural, points, rate, text, unique
from edgekd.report.row import Row, several_data_sets

_NEAR = 1.03  # within this ratio two medians are called alike: machines drift more


def summary(rows: Sequence[Row]) -> str:
    """What came out, in a sentence or three."""
    timed = sorted((row for row in rows if row.network), key=lambda row: row.p50)
    scored = sorted((row for row in rows if row.miou is not None), key=lambda row: -(row.miou or 0.0))
    devices = unique(row.device for row in rows)
    where = text(devices[0]) if len(devices) == 1 else plural(len(devices), "device")
    words = [f"{plural(len(rows), 'measurement')} on {where}."]
    if timed:
        fastest = timed[0]
        near = sum(row.p50 <= _NEAR * fastest.p50 for row in timed) - 1
        tie = f", {near} more within 3 %" if near else ""
        words.append(f"Fastest: <b>{text(fastest.label)}</b>, {milliseconds(fastest.p50)} ms {_call(fastest)}{tie}.")
    if several_data_sets(rows):
        words.append("The scores are of several data sets, and can't be compared with each other.")
    elif scored:
        words.append(f"Most accurate: <b>{text(scored[0].label)}</b>, {percent(scored[0].miou, 1)} % {scored[0].score}.")
    else:
        words.append("No accuracy was measured.")
    gains = sorted((row for row in rows if row.delta is not None), key=lambda row: -(row.delta or 0.0))
    if gains:
        best = gains[0]
        words.append(f"Best against its baseline: <b>{text(best.label)}</b>, {points(best.delta or 0.0)} points{_price(best, scored[0])}.")
    return " ".join(words)


def _call(row: Row) -> str:
    return "an image" if row.batch == 1 else f"for {row.batch} images"


def _price(row: Row, best: Row) -> str:
    """How a row compares with the most accurate one; only where both ran the same way on the same data, and neither was noisy."""
    if row is best or row.miou is None or best.miou is None or _run(row) != _run(best) or row.doubtful or best.doubtful:
        return ""
    if not (row.network and best.network and row.p50 < best.p50):
        return ""
    return f"; {best.p50 / row.p50:.1f}× as fast as {text(best.label)} at {points(row.miou - best.miou)} points"


def _run(row: Row) -> tuple[object, ...]:
    return row.device, row.backend, row.threads, row.batch, row.classes, row.images


def tiles(rows: Sequence[Row]) -> str:
    """The figures that a reader asks for first."""
    entries: list[tuple[str, str, str]] = []
    timed = [row for row in rows if row.network]
    scored = [row for row in rows if row.miou is not None]
    gains = [row for row in rows if row.delta is not None]
    if timed:
        row = min(timed, key=lambda row: row.p50)
        entries.append(("Fastest", f"{milliseconds(row.p50)} ms", f"{text(row.label)}, {rate(row.throughput)} images/s"))
    if scored and not several_data_sets(rows):
        row = max(scored, key=lambda row: row.miou or 0.0)
        entries.append(("Most accurate", f"{percent(row.miou)} %", f"{text(row.label)}, {row.score}"))
    if gains:
        row = max(gains, key=lambda row: row.delta or 0.0)
        entries.append(("Best against its baseline", f"{points(row.delta or 0.0)} pp", f"{text(row.label)}, {row.score}"))
    row = min(rows, key=lambda row: row.size_bytes)
    entries.append(("Smallest file", f"{megabytes(row.size_bytes)} MB", text(row.label)))
    items = "".join(f"<li><span>{head}</span><strong>{figure}</strong><span>{words}</span></li>" for head, figure, words in entries)
    return f'<ul class="tiles">{items}</ul>'
