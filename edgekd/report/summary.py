"""What came out, in words and in the figures that a reader asks for first."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.report.compare import BASELINE, circumstances, scored_on
from edgekd.report.repeats import Repeat
from edgekd.report.row import Row, several_data_sets
from edgekd.report.words import megabytes, milliseconds, percent, plural, points, rate, unique

_NEAR = 1.03  # within this ratio two medians are called alike: machines drift more


@dataclass(frozen=True)
class Tile:
    """A figure, what it is, and whose."""

    head: str
    figure: str
    label: str
    words: str = ""


def summary(rows: Sequence[Row], repeated: Sequence[Repeat]) -> list[str]:
    """What was measured, and what the tiles can't say."""
    timed = sorted((row for row in rows if row.network), key=lambda row: row.p50)
    scored = sorted((row for row in rows if row.miou is not None), key=lambda row: -(row.miou or 0.0))
    gains = sorted((row for row in rows if row.delta is not None), key=lambda row: -(row.delta or 0.0))
    devices = unique(row.device for row in rows)
    where = devices[0] if len(devices) == 1 else plural(len(devices), "device")
    sentences = [f"{plural(len(rows), 'measurement')} on {where}."]
    near = sum(row.p50 <= _NEAR * timed[0].p50 for row in timed) - 1 if timed else 0
    if near > 0:
        sentences.append(f"{near:,} more {'is' if near == 1 else 'are'} within 3 % of the fastest.")
    if several_data_sets(rows):
        sentences.append("The scores are of several data sets, and can't be compared with each other.")
    elif not scored:
        sentences.append("No accuracy was measured.")
    if gains and (price := _price(gains[0], scored[0])):
        sentences.append(f"{gains[0].label} is {price}.")
    if gains and (spread := _spread(gains[0], repeated)):
        sentences.append(spread)
    return sentences


def _price(row: Row, best: Row) -> str:
    """How a row compares with the most accurate one; only where both ran the same way on the same data, and neither was noisy."""
    if row is best or row.miou is None or best.miou is None or _run(row) != _run(best) or row.noisy or best.noisy:
        return ""
    if not (row.network and best.network and row.p50 < best.p50):
        return ""
    return f"{best.p50 / row.p50:.1f}× as fast as {best.label} at {points(row.miou - best.miou)} points"


def _run(row: Row) -> tuple[object, ...]:
    return circumstances(row)[1:], scored_on(row)


def _spread(row: Row, repeated: Sequence[Repeat]) -> str:
    """By how much the baseline that a gain is against varies itself."""
    about = row.about
    alike = [
        one
        for one in repeated
        if one.row.about.method == BASELINE and (one.row.about.model, one.row.about.precision) == (about.model, about.precision)
    ]
    if not alike:
        return ""
    return f"The baseline alone varies by ±{100 * alike[0].deviation:.2f} points over its {len(alike[0].scores)} trainings."


def tiles(rows: Sequence[Row], max_latency_ms: float | None = None) -> list[Tile]:
    """The figures that a reader asks for first."""
    found: list[Tile] = []
    timed = [row for row in rows if row.network]
    scored = [] if several_data_sets(rows) else [row for row in rows if row.miou is not None]
    gains = [row for row in rows if row.delta is not None]
    if timed:
        row = min(timed, key=lambda row: row.p50)
        noisy = "~" if row.noisy else ""
        call = "" if row.one.batch == 1 else f" for {row.one.batch} images"
        found.append(Tile("Fastest", f"{noisy}{milliseconds(row.p50)} ms", row.label, f"{rate(row.throughput)} images/s{call}"))
    if scored:
        row = max(scored, key=lambda row: row.miou or 0.0)
        found.append(Tile("Most accurate", f"{percent(row.miou)} %", row.label, row.about.score_name))
    within = [row for row in scored if max_latency_ms is not None and row.p50 <= max_latency_ms]
    if within:
        row = max(within, key=lambda row: row.miou or 0.0)
        found.append(
            Tile(f"Most accurate within {max_latency_ms:g} ms", f"{percent(row.miou)} %", row.label, f"{milliseconds(row.p50)} ms")
        )
    if gains:
        row = max(gains, key=lambda row: row.delta or 0.0)
        found.append(Tile("Best against its baseline", f"{points(row.delta or 0.0)} pp", row.label, row.about.score_name))
    row = min(rows, key=lambda row: row.one.size_bytes)
    found.append(Tile("Smallest file", f"{megabytes(row.one.size_bytes)} MB", row.label))
    return found
