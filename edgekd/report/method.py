"""How it was measured: enough to do it again."""

from collections.abc import Sequence
from typing import Any

from edgekd.report.grid import Cell, Grid, Head
from edgekd.report.row import Row, score_names
from edgekd.report.words import ABSENT, listing, significant, unique
from edgekd_runtime.artifact import AGREEMENT

_STAGES = (
    "Network is the bare call, at the network’s input size; on a GPU, its copies (H2D, D2H) and its compute are timed by the GPU’s "
    "own clock, in other calls. "
    "End to end adds decoding if there is a file, the resize before the network and the class map at the image’s own size after it."
)
_PERCENTILES = "Of N ascending times, the p-th percentile is sorted[max(N-1-int((1-p/100)*N), 0)]; throughput is calls over wall time."
_FILE_HEADS = (
    *(Head(title) for title in ("Row", "File", "SHA-256", "Backend", "Threads")),
    *(Head(title, kind="number") for title in ("Network calls", "Images")),
    Head("Date"),
)


def method_view(rows: Sequence[Row]) -> dict[str, Any]:
    """Facts, each with its lines, and the table of the files."""
    timings = (
        f"{one.warmup_s:g} s warm-up, then at least {one.seconds:g} s and {one.iterations:g} calls of each stage in {one.rounds:g} rounds "
        "in which the models take turns"
        for one in unique(row.one.timing for row in rows)
    )
    facts = [
        ("Timing", listing(timings, 3)),
        ("Stages", [_STAGES]),
        ("Percentiles", [_PERCENTILES]),
        ("Accuracy", [_images(rows)]),
        ("Threads", [", ".join(listing(_threads(row) for row in sorted(rows, key=lambda row: row.one.threads)))]),
        ("Backends", [", ".join(listing(f"{row.one.backend} {row.one.backend_version}" for row in rows))]),
        ("Devices", listing(_device(row) for row in rows)),
        ("Power", listing(_power(row) for row in rows if row.one.energy)),
        ("Clocks", listing((_clocks(row) for row in rows if row.one.state), 4)),
        ("Warnings", listing((f"{row.label}: {sentence}" for row in rows for sentence in row.one.warnings), 12)),
        ("Dates", [_dates(rows)]),
    ]
    return {
        "facts": [(title, lines) for title, lines in facts if lines],
        "files": Grid("Files", list(_FILE_HEADS), [_file(row) for row in rows]),
    }


def _power(row: Row) -> str:
    one = next(iter(row.one.energy.values()))
    idle = (
        "nothing subtracted" if one.idle_watts is None else f"{significant(one.idle_watts)} W at rest subtracted from the energy per image"
    )
    return f"{one.source} ({one.scope}), {idle}"


def _clocks(row: Row) -> str:
    """Numbers before and after, and the first line of what the tools said."""
    before, after = row.one.state.get("before", {}), row.one.state.get("after", {})
    told = []
    for name in unique([*before, *after]):
        found = unique(str(state[name]).strip().split("\n")[0] for state in (before, after) if name in state)
        told.append(f"{name.replace('_', ' ')} {' → '.join(found)}")
    return f"{row.device}: {'; '.join(told)}" if told else f"{row.device}: not readable"


def _images(rows: Sequence[Row]) -> str:
    counts = unique(row.one.images for row in rows if row.miou is not None)
    if not counts:
        return "Not measured."
    numbers = " or ".join(f"{count:,}" for count in counts[:6])
    whose = "images that the teacher labelled" if score_names(rows) == AGREEMENT else "labelled images"
    return f"{score_names(rows)} over {numbers} {whose}, of the classes that occur, at the labels’ own size."


def _threads(row: Row) -> str:
    return str(row.one.threads) if row.one.threads else "the backend’s default"


def _device(row: Row) -> str:
    known = [("cores", "{} cores"), ("system", "{}"), ("python", "Python {}"), ("numpy", "NumPy {}"), ("edgekd_runtime", "edgekd {}")]
    machine = row.one.device
    return "; ".join([row.device, *(pattern.format(machine[key]) for key, pattern in known if machine.get(key))])


def _dates(rows: Sequence[Row]) -> str:
    dates = sorted(row.one.date for row in rows)
    return dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"


def _file(row: Row) -> list[Cell]:
    one = row.one
    return [
        Cell(row.label),
        Cell(one.path, kind="code"),
        Cell(row.about.sha256[:12], kind="code"),
        Cell(f"{one.backend} {one.backend_version}"),
        Cell(_threads(row)),
        Cell(f"{row.network.count:,.0f}" if row.network else ABSENT, kind="number"),
        Cell(f"{one.images:,}" if one.images else ABSENT, kind="number"),
        Cell(one.date),
    ]
