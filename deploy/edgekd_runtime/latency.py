"""Timing like trtexec: warm up by time, measure by time and count, report its percentiles."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

SPREAD_LIMIT = 0.10
"""Above this the figures are noisy. trtexec's limit, a deviation of 2.5 %, is for a GPU that nothing else uses; on a CPU one pre-empted
call breaks it. Quartiles ignore such calls, and at 10 % the median of 100 calls is still known to ±2 % (1.96 · 1.25 · 0.1/1.35 / √100)."""
DRIFT_LIMIT = 0.05
"""Above this the machine was not the same at the end as at the start: it throttled, or something else ran. Between two rounds of 20 quiet
calls (spread 3 %) the median moves by less than 2 %."""
COMPUTE_DEVIATION_LIMIT, ENQUEUE_LIMIT = 0.025, 0.8
"""trtexec's limits for a GPU: the variation of its computing time, and the host's time to hand it a frame over that."""
NOISE = ("noisy:", "drifting:")
"""How the sentences begin that `warnings` says."""
MAX_BINS = 32
"""Of a histogram: as many as a picture a few hundred pixels wide can show."""


@dataclass(frozen=True)
class Latency:
    """Timing of one stage, milliseconds; throughput in calls a second of wall time.

    Attributes:
        spread: Third minus first quartile, over the median.
        deviation: Standard deviation over the mean, which trtexec calls the variation; 0 in older files.
        drift: Median of the last round over that of the first, minus 1.
        histogram: Calls in equal steps from `min_ms` to `p95_ms`; those beyond are in the last, or stragglers would leave no room for
            the others. Empty in older files.
    """

    min_ms: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    count: int
    throughput: float
    spread: float = 0.0
    deviation: float = 0.0
    drift: float = 0.0
    histogram: tuple[int, ...] = ()

    @property
    def doubtful(self) -> bool:
        """Whether `warnings` has something to say: a ratio to another latency would say more of the machine than of the model."""
        return self.spread > SPREAD_LIMIT or abs(self.drift) > DRIFT_LIMIT


class Parts(dict[str, float]):
    """What a call returns that times its own parts: name → seconds."""


@dataclass(frozen=True)
class Turn:
    """Calls that followed each other: when they began and ended on `time.perf_counter`'s clock, and each one's seconds.

    `parts` are the seconds of each call's parts by name, where it returns `Parts`.
    """

    start: float
    stop: float
    times: tuple[float, ...]
    parts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Trtexec's percentile of an ascending sequence: ``sorted[max(N-1-int((1-p/100)*N), 0)]``."""
    count = len(ordered)
    return ordered[max(count - 1 - int((100 - percent) * count / 100), 0)]  # in this order no rounding error moves the index


def histogram(ordered: Sequence[float]) -> tuple[int, ...]:
    """Ascending times → calls in √N steps, at most `MAX_BINS`, as `Latency.histogram` has them."""
    low, high = ordered[0], percentile(ordered, 95)
    bins = min(MAX_BINS, math.isqrt(len(ordered))) if high > low else 1
    counts, _ = np.histogram(np.minimum(ordered, high), bins, (low, high))
    return tuple(int(count) for count in counts)


def summarise(turns: Sequence[Turn]) -> Latency:
    """The turns of one call, in order → `Latency`."""
    ordered = sorted(time_s * 1e3 for turn in turns for time_s in turn.times)
    median = percentile(ordered, 50)
    first, last = (percentile(sorted(turn.times), 50) for turn in (turns[0], turns[-1]))
    return Latency(
        min_ms=ordered[0],
        mean_ms=sum(ordered) / len(ordered),
        p50_ms=median,
        p90_ms=percentile(ordered, 90),
        p95_ms=percentile(ordered, 95),
        p99_ms=percentile(ordered, 99),
        max_ms=ordered[-1],
        count=len(ordered),
        throughput=len(ordered) / sum(turn.stop - turn.start for turn in turns),
        spread=(percentile(ordered, 75) - percentile(ordered, 25)) / median,
        deviation=float(np.std(ordered) / np.mean(ordered)),
        drift=last / first - 1,
        histogram=histogram(ordered),
    )


def warnings(latency: Latency) -> list[str]:
    """What makes a latency unreliable, in sentences."""
    found = []
    if latency.spread > SPREAD_LIMIT:
        found.append(
            f"noisy: the interquartile range is {100 * latency.spread:.0f} % of the median (limit {100 * SPREAD_LIMIT:.0f} %); "
            "close other programs."
        )
    if abs(latency.drift) > DRIFT_LIMIT:
        way = "slower" if latency.drift > 0 else "faster"
        found.append(
            f"drifting: the last round was {100 * abs(latency.drift):.0f} % {way} than the first (limit {100 * DRIFT_LIMIT:.0f} %); "
            "let it warm up or cool, and fix the clocks."
        )
    return found


def device_warnings(latency: Mapping[str, Latency]) -> list[str]:
    """What trtexec warns of: a GPU that varies, or waits for the host; nothing where no device was timed apart."""
    if "compute" not in latency:
        return []
    compute, enqueue, found = latency["compute"], latency["enqueue"], []
    if compute.deviation > COMPUTE_DEVIATION_LIMIT:
        found.append(
            f"its GPU time varies by {100 * compute.deviation:.1f} % (limit {100 * COMPUTE_DEVIATION_LIMIT:g} %); lock the GPU's clocks."
        )
    if enqueue.p50_ms > ENQUEUE_LIMIT * compute.p50_ms:
        found.append(f"the host needs {enqueue.p50_ms:.2f} ms to hand over a frame of {compute.p50_ms:.2f} ms: the GPU waits for it.")
    return found


@dataclass(frozen=True)
class Timing:
    """How long to measure: warm-up, then at least `seconds` and `iterations` of each call, in `rounds` interleaved rounds.

    Each turn begins with `settle_s` that are not counted: the library that ran before may still spin its threads, and caches are cold.
    Neither that nor the warm-up lasts longer than what is measured.
    """

    warmup_s: float = 0.2
    settle_s: float = 0.1
    seconds: float = 3.0
    iterations: int = 10
    rounds: int = 5


def measure(
    calls: Sequence[Callable[[], object]], timing: Timing, progress: Callable[[int, int], None] | None = None
) -> list[list[Turn] | Exception]:
    """Time several calls in alternating rounds, so that a drifting machine is unfair to none of them.

    Args:
        calls: What to time.
        timing: For how long, each.
        progress: Called with (finished, all) turns.

    Returns:
        For each call a turn a round; or what it raised, after which it was called no more.
    """
    seconds, iterations = timing.seconds / timing.rounds, -(-timing.iterations // timing.rounds)
    turns: list[list[Turn]] = [[] for _ in calls]
    failures: dict[int, Exception] = {}
    for turn in range(-1, timing.rounds):  # the first only warms up
        for index, call in enumerate(calls):
            if index not in failures:
                try:
                    if turn < 0:
                        _repeat(call, min(timing.warmup_s, timing.seconds), 1)
                    else:
                        _repeat(call, min(timing.settle_s, seconds), 1)
                        turns[index].append(_repeat(call, seconds, iterations))
                except Exception as error:  # each library has its own
                    failures[index] = error
            if progress is not None and turn >= 0:
                progress(turn * len(calls) + index + 1, timing.rounds * len(calls))
    return [failures.get(index, one) for index, one in enumerate(turns)]


def _repeat(call: Callable[[], object], seconds: float, iterations: int) -> Turn:
    times: list[float] = []
    parts: dict[str, list[float]] = {}
    begin = start = time.perf_counter()
    while len(times) < iterations or start < begin + seconds:
        result = call()
        stop = time.perf_counter()
        times.append(stop - start)
        start = stop
        if isinstance(result, Parts):
            for name, part in result.items():
                parts.setdefault(name, []).append(part)
    return Turn(begin, start, tuple(times), {name: tuple(each) for name, each in parts.items()})
