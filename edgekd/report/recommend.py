"""What to ship, by the code that decides it in the terminal too; and who meets the latency target."""

from collections.abc import Sequence

from edgekd.report.row import Row
from edgekd.report.words import milliseconds, percent, unique
from edgekd_runtime.decision import decisions


def recommendations(rows: Sequence[Row], miou_drop: float, max_latency_ms: float | None) -> list[str]:
    """Sentences, for each device: which rows meet the target; then of each model the file and backend to ship, the most accurate first.

    Args:
        rows: All rows.
        miou_drop: Largest loss of mIoU against the most accurate file of the same model, in points.
        max_latency_ms: Target of the network's p50; what misses it is not recommended.
    """
    devices = unique(row.device for row in rows)
    sentences = []
    for device in devices:
        there = f"{device}: " if len(devices) > 1 else ""
        mine = sorted((row for row in rows if row.device == device and row.network), key=lambda row: -(row.miou or 0.0))
        if max_latency_ms is not None:
            sentences.append(f"{there}{_within(mine, max_latency_ms)}")
            mine = [row for row in mine if row.p50 <= max_latency_ms]
        sentences += [f"{there}{sentence}" for sentence in decisions([row.one for row in mine], miou_drop)]
    return sentences


def _within(rows: Sequence[Row], max_latency_ms: float) -> str:
    target = f"the latency target of {max_latency_ms:g} ms"
    fitting = [row for row in rows if row.p50 <= max_latency_ms]
    if not fitting:
        return f"None meets {target}."
    scored = [row for row in fitting if row.miou is not None]
    best = max(scored, key=lambda row: row.miou or 0.0, default=None)
    most = f"; the most accurate of them is {best.label} ({milliseconds(best.p50)} ms, {percent(best.miou)} %)" if best else ""
    noisy = " Some of their latencies are noisy." if any(row.noisy for row in fitting) else ""
    return f"{len(fitting):,} of {len(rows):,} meet {target}{most}.{noisy}"
