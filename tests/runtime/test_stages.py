"""A GPU's stages. None was at hand: a stream with a clock of its own stands for it."""

import numpy as np
import pytest

from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.cases import Case
from edgekd_runtime.harness import bench_cases
from edgekd_runtime.latency import Parts, Timing, Turn, device_warnings, measure, summarise
from edgekd_runtime.stages import APART, STAGES, Replay, stage_calls, with_parts
from edgekd_runtime.trt.cuda import Cuda
from edgekd_runtime.trt.steps import StepTimer
from tests.runtime.models import SIZE, write_model


class Stream:
    """What `StepTimer` needs of `Cuda`; work on it takes the time that it says, events keep the clock where they are recorded."""

    def __init__(self):
        self.clock, self.waited = 5.0, 0

    def work(self, seconds):
        self.clock += seconds

    def event(self):
        return []

    def record(self, event):
        event[:] = [self.clock]

    def seconds(self, first, last):
        return last[0] - first[0]

    def synchronise(self):
        self.waited += 1


def test_steps_are_timed_between_events():
    assert all(hasattr(Cuda, name) for name in ("event", "record", "seconds", "synchronise"))
    stream = Stream()
    steps = {"h2d": lambda: stream.work(0.001), "compute": lambda: stream.work(0.004), "d2h": lambda: stream.work(0.002)}
    timer = StepTimer(stream, steps)
    for run in (1, 2):  # the events are used again
        told = timer.run()
        assert {name: told[name] for name in steps} == pytest.approx({"h2d": 0.001, "compute": 0.004, "d2h": 0.002})
        assert isinstance(told, Parts) and 0 < told["enqueue"] < 0.01 and stream.waited == run


def test_what_a_call_says_of_its_parts_becomes_stages():
    (turns,) = measure([lambda: Parts(h2d=0.001, compute=0.004)], Timing(warmup_s=0, settle_s=0, seconds=0.0, iterations=4, rounds=2))
    assert [turn.parts for turn in turns] == [{"h2d": (0.001,) * 2, "compute": (0.004,) * 2}] * 2
    stages = with_parts({"network": [Turn(0.0, 1.0, (1.0,))], APART: turns})
    assert set(stages) == {"network", "h2d", "compute"} <= set(STAGES)
    assert summarise(stages["compute"]).p50_ms == 4 and summarise(stages["compute"]).count == 4


def test_only_a_session_with_a_device_has_them(tmp_path, monkeypatch):
    artifact = load_artifact(write_model(tmp_path))
    image = np.zeros((*SIZE, 3), np.uint8)
    session = Replay(artifact, np.zeros((1, *SIZE), np.uint8))
    assert APART not in stage_calls(session, image, 1, None)

    class Device(Replay):
        def run_apart(self, image):
            return Parts(h2d=0.001, compute=0.004, d2h=0.002, enqueue=0.0001)

    monkeypatch.setattr("edgekd_runtime.harness.open_session", lambda file, backend, threads: Device(artifact, session.run(image)))
    timing = Timing(warmup_s=0, settle_s=0, seconds=0.01, iterations=2, rounds=2)
    (measured,) = bench_cases([Case(tmp_path / "model.onnx", None, 1)], image, timing)
    assert list(measured.latency) == ["preprocess", "network", "postprocess", "end_to_end", "h2d", "compute", "d2h", "enqueue"]
    assert measured.latency["d2h"].p50_ms == pytest.approx(2)


def test_warnings_are_those_of_trtexec():
    def latencies(enqueue, *compute):
        return {name: summarise([Turn(0.0, 1.0, times)]) for name, times in (("compute", compute), ("enqueue", (enqueue,)))}

    assert device_warnings(latencies(0.007, *[0.01] * 50, *[0.0102] * 50)) == []
    (said,) = device_warnings(latencies(0.007, *[0.01] * 50, *[0.0106] * 50))
    assert "varies by 2.9 % (limit 2.5 %)" in said
    (said,) = device_warnings(latencies(0.0081, *[0.01] * 100))
    assert "8.10 ms to hand over a frame of 10.00 ms" in said
    assert device_warnings({"network": latencies(1, 1)["compute"]}) == []
