"""Timing like trtexec: warm up by time, measure by time and count, report its percentiles."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Timing of one stage, milliseconds; throughput in calls a second of wall time."""

    min_ms: float
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    count: int
    throughput: float


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Trtexec's percentile of an ascending sequence: ``sorted[max(N-1-int((1-p/100)*N), 0)]``."""
    count = len(ordered)
    return ordered[max(count - 1 - int((100 - percent) * count / 100), 0)]  # in this order no rounding error moves the index


def summarise(times_s: Sequence[float], wall_s: float) -> Latency:
    """Times of single calls, seconds, and the wall time of the whole loop → `Latency`."""
    ordered = sorted(time_s * 1e3 for time_s in times_s)
    return Latency(
        min_ms=ordered[0],
        mean_ms=sum(ordered) / len(ordered),
        p50_ms=percentile(ordered, 50),
        p90_ms=percentile(ordered, 90),
        p95_ms=percentile(ordered, 95),
        p99_ms=percentile(ordered, 99),
        max_ms=ordered[-1],
        count=len(ordered),
        throughput=len(ordered) / wall_s,
    )


@dataclass(frozen=True)
class Timing:
    """How long to measure: warm-up, then at least `seconds` and `iterations` of each call, in `rounds` interleaved rounds."""

    warmup_s: float = 0.2
    seconds: float = 3.0
    iterations: int = 10
    rounds: int = 5


def measure(calls: Sequence[Callable[[], object]], timing: Timing, progress: Callable[[int, int], None] | None = None) -> list[Latency]:
    """Time several calls in alternating rounds, so that a drifting machine is unfair to none of them.

    Args:
        calls: What to time.
        timing: For how long, each.
        progress: Called with (finished, all) turns.
    """
    for call in calls:
        _repeat(call, timing.warmup_s, 1)
    times: list[list[float]] = [[] for _ in calls]
    wall = [0.0] * len(calls)
    for turn in range(timing.rounds):
        for index, call in enumerate(calls):
            start = time.perf_counter()
            times[index] += _repeat(call, timing.seconds / timing.rounds, -(-timing.iterations // timing.rounds))
            wall[index] += time.perf_counter() - start
            if progress is not None:
                progress(turn * len(calls) + index + 1, timing.rounds * len(calls))
    return [summarise(*pair) for pair in zip(times, wall, strict=True)]


def _repeat(call: Callable[[], object], seconds: float, iterations: int) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    start = time.perf_counter()
    while len(times) < iterations or start < end:
        call()
        stop = time.perf_counter()
        times.append(stop - start)
        start = stop
    return times
