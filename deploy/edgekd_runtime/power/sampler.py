"""Energy of a stretch of time: one thread reads the meter, the curve is read afterwards."""

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.latency import Turn
from edgekd_runtime.power.meter import Meter

LEAST_READINGS = 5
"""Of the meter, a turn: with fewer, what it tells of a turn is partly what ran before and after."""
LONGEST_UPDATE_S = 0.5
"""A counter that has not moved for so long will not."""


@dataclass(frozen=True)
class Energy:
    """Energy of one stage.

    Attributes:
        source: The meter's name.
        scope: What it counts, in words.
        watts: Mean power between the first and the last timed frame of each turn.
        joules_per_frame: That energy over the frames, `idle_watts` subtracted where they were measured.
        idle_watts: Power before the measurement, or None where it was not asked for.
    """

    source: str
    scope: str
    watts: float
    joules_per_frame: float
    idle_watts: float | None


class Sampler:
    """Reads a meter while it is entered as a context.

    Args:
        meter: Open.
        idle_s: First measure this long without load, which is then subtracted; 0 = not.
    """

    def __init__(self, meter: Meter, idle_s: float = 0.0) -> None:
        self._meter, self._idle_s = meter, idle_s
        self._idle: tuple[float, float] | None = None
        self._curve: list[tuple[float, float]] = []
        self._ready, self._stop = threading.Event(), threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def _sample(self) -> None:
        try:
            while not self._stop.is_set():
                joules = self._meter.joules()
                if not self._curve or joules != self._curve[-1][1]:  # a counter is read more often than it is updated
                    self._curve.append((time.perf_counter(), joules))
                self._ready.set()
        except Exception as error:  # told by `energy`, on the thread that asks
            self._failure = error
            self._ready.set()
            return
        with suppress(Exception):  # what was measured ended before
            self._read_past_the_end()

    def _read_past_the_end(self) -> None:
        """Until the counter's next update, so that the last turn lies between two."""
        begin = time.perf_counter()
        while (joules := self._meter.joules()) == self._curve[-1][1] and time.perf_counter() < begin + LONGEST_UPDATE_S:
            pass
        self._curve.append((time.perf_counter(), joules))

    def __enter__(self) -> "Sampler":
        self._thread.start()
        self._ready.wait()  # nothing is known of the time before the first reading
        if self._idle_s:
            begin = time.perf_counter()
            time.sleep(self._idle_s)
            self._idle = begin, time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _watts(self, start: float, stop: float) -> float:
        curve = np.array(self._curve)
        if self._failure or len(curve) < 2:
            reason = self._failure or "fewer than two readings"
            raise EdgeKDError(f"{self._meter.name} did not tell the power ({reason}); measure again without --power, or longer.")
        before, after = np.interp((start, stop), *curve.T)
        return float(after - before) / (stop - start)

    def readings(self, turns: Sequence[Turn]) -> float:
        """Updates of the meter within a turn, on average; reading one that has not moved is none."""
        moments = np.array([moment for moment, _ in self._curve])
        return float(np.mean([((turn.start <= moments) & (moments <= turn.stop)).sum() for turn in turns]))

    def energy(self, turns: Sequence[Turn], batch: int = 1) -> Energy:
        """Energy of a stage's turns, each of calls on `batch` frames; for after the context.

        Raises:
            EdgeKDError: If the meter failed meanwhile.
        """
        seconds = sum(turn.stop - turn.start for turn in turns)
        watts = sum(self._watts(turn.start, turn.stop) * (turn.stop - turn.start) for turn in turns) / seconds
        frames = batch * sum(len(turn.times) for turn in turns)
        idle = self._watts(*self._idle) if self._idle else None
        return Energy(self._meter.name, self._meter.scope, watts, (watts - (idle or 0.0)) * seconds / frames, idle)
