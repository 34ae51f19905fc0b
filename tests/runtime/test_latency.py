"""Percentiles by trtexec's rule, noise and drift, and measuring with a call of known length."""

import json
import time
from dataclasses import asdict

import numpy as np
import pytest

from edgekd_runtime.latency import Latency, Timing, Turn, device_warnings, measure, percentile, summarise, warnings
from edgekd_runtime.typed import typed


def turn(*milliseconds):
    return Turn(0.0, sum(milliseconds) / 1e3, tuple(value / 1e3 for value in milliseconds))


def test_percentiles_by_the_rule():
    ordered = list(range(1, 101))
    assert [percentile(ordered, p) for p in (50, 90, 95, 99)] == [50, 90, 95, 99]
    assert percentile([7.0], 99) == 7.0


def test_summary_of_known_times():
    latency = summarise([Turn(5.0, 5.006, (0.003, 0.001)), Turn(9.0, 9.004, (0.002,))])
    assert (latency.min_ms, latency.max_ms, latency.count) == (1, 3, 3)
    assert latency.mean_ms == pytest.approx(2) and latency.p50_ms == 2 and latency.throughput == pytest.approx(300)
    assert latency.drift == pytest.approx(1.0)  # the first round's median is 1 ms by the rule, the last one's 2


def test_spread_is_between_the_quartiles_and_ignores_a_few_slow_calls():
    assert summarise([turn(*range(1, 101))]).spread == pytest.approx((75 - 25) / 50)
    assert summarise([turn(*[10] * 90, *[500] * 10)]).spread == 0


def test_the_deviation_is_what_trtexec_warns_of():
    latency = summarise([turn(*[10] * 76, *[20] * 24)])
    assert latency.spread == 0 and latency.deviation == pytest.approx(np.std([10] * 76 + [20] * 24) / 12.4)
    assert "varies by 34.4 %" in device_warnings({"compute": latency, "enqueue": summarise([turn(1)])})[0]


def test_histogram_counts_every_call_and_lets_no_straggler_stretch_it():
    latency = summarise([turn(*[10] * 50, *[14.5] * 40, *[20] * 9, 500)])
    assert latency.histogram == (50, 0, 0, 0, 40, 0, 0, 0, 0, 10) and latency.p95_ms == 20
    assert summarise([turn(7, 7, 7)]).histogram == (3,)
    assert len(summarise([turn(*range(1, 5001))]).histogram) == 32


def test_latency_survives_json():
    latency = summarise([turn(*range(1, 101))])
    assert typed(Latency, json.loads(json.dumps(asdict(latency))), "a", "b") == latency
    older = {key: value for key, value in asdict(latency).items() if key != "histogram"}
    assert typed(Latency, older, "a", "b").histogram == ()


def test_warns_of_noise_and_of_drift_each_by_itself():
    quiet, noisy = [10] * 100, [8] * 50 + [12] * 50
    assert warnings(summarise([turn(*quiet), turn(*quiet)])) == []
    (said,) = warnings(summarise([turn(*noisy), turn(*noisy)]))
    assert said.startswith("noisy") and "50 % of the median" in said  # 12 − 8 over the median of 8
    (said,) = warnings(summarise([turn(*quiet), turn(*quiet), turn(*quiet), turn(*[11] * 50)]))
    assert "10 % slower" in said
    (said,) = warnings(summarise([turn(*quiet), turn(*quiet), turn(*quiet), turn(*[9] * 50)]))
    assert "10 % faster" in said


def test_measures_each_call_long_and_often_enough():
    order = []
    calls = [lambda: (order.append("a"), time.sleep(0.002)), lambda: (order.append("b"), time.sleep(0.006))]
    seen = []
    timing = Timing(warmup_s=0, seconds=0.1, iterations=10, rounds=2)
    first, second = (summarise(turns) for turns in measure(calls, timing, lambda done, total: seen.append((done, total))))
    assert first.min_ms >= 2 and second.min_ms >= 6 and second.count >= 10
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    turns = [name for index, name in enumerate(order) if index == 0 or order[index - 1] != name]
    assert turns == ["a", "b"] * 3  # warm-up, then two rounds, taking turns


def test_a_call_that_fails_is_called_no_more_and_the_others_go_on():
    count = iter(range(100))

    def breaks():
        if next(count) == 3:
            raise RuntimeError("out of memory")

    broken, whole = measure([breaks, lambda: time.sleep(0.001)], Timing(warmup_s=0, settle_s=0, seconds=0.01, iterations=4, rounds=2))
    assert isinstance(broken, RuntimeError) and next(count) == 4
    assert len(whole) == 2 and all(one.stop > one.start for one in whole) and whole[1].start >= whole[0].stop


def test_settling_and_warm_up_last_no_longer_than_what_is_measured(monkeypatch):
    now, calls = 0.0, 0

    def call():
        nonlocal now, calls
        now, calls = now + 0.01, calls + 1

    monkeypatch.setattr("edgekd_runtime.latency.time.perf_counter", lambda: now)
    (turns,) = measure([call], Timing(warmup_s=100, settle_s=100, seconds=0.4, iterations=1, rounds=2))
    measured = sum(len(turn.times) for turn in turns)
    assert measured >= 40 and calls <= 3 * measured + 6  # a call more for each that rounding leaves a little short
