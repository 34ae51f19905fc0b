"""The steps of a frame on a stream, each timed by the device's own clock."""

import itertools
import time
from collections.abc import Callable, Mapping

from edgekd_runtime.latency import Parts
from edgekd_runtime.trt.cuda import Cuda


class StepTimer:
    """Runs steps that follow each other on a stream, each between two events.

    Args:
        cuda: The stream.
        steps: Name → what puts it on the stream; one is ``compute``.
    """

    def __init__(self, cuda: Cuda, steps: Mapping[str, Callable[[], object]]) -> None:
        self._cuda, self._steps = cuda, steps
        self._events = [cuda.event() for _ in range(len(steps) + 1)]

    def run(self) -> Parts:
        """Seconds of each step on the device, and of ``enqueue``: the host's, for ``compute``."""
        enqueue = 0.0
        self._cuda.record(self._events[0])
        for (name, step), event in zip(self._steps.items(), self._events[1:], strict=True):
            begin = time.perf_counter()
            step()
            if name == "compute":
                enqueue = time.perf_counter() - begin
            self._cuda.record(event)
        self._cuda.synchronise()
        spans = (self._cuda.seconds(first, last) for first, last in itertools.pairwise(self._events))
        return Parts(zip(self._steps, spans, strict=True), enqueue=enqueue)
