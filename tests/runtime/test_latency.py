"""Percentiles by trtexec's rule, and measuring with a call of known length."""

import time

import pytest

from edgekd_runtime.latency import Timing, measure, percentile, summarise


def test_percentiles_by_the_rule():
    ordered = list(range(1, 101))
    assert [percentile(ordered, p) for p in (50, 90, 95, 99)] == [50, 90, 95, 99]
    assert percentile([7.0], 99) == 7.0


def test_summary_of_known_times():
    latency = summarise([0.003, 0.001, 0.002], wall_s=0.01)
    assert (latency.min_ms, latency.max_ms, latency.count) == (1, 3, 3)
    assert latency.mean_ms == pytest.approx(2) and latency.p50_ms == 2 and latency.throughput == pytest.approx(300)


def test_measures_each_call_long_and_often_enough():
    order = []
    calls = [lambda: (order.append("a"), time.sleep(0.002)), lambda: (order.append("b"), time.sleep(0.006))]
    seen = []
    first, second = measure(calls, Timing(warmup_s=0, seconds=0.1, iterations=10, rounds=2), lambda done, total: seen.append((done, total)))
    assert first.min_ms >= 2 and second.min_ms >= 6 and second.count >= 10
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    turns = [name for index, name in enumerate(order) if index == 0 or order[index - 1] != name]
    assert turns == ["a", "b"] * 3  # warm-up, then two rounds, taking turns
