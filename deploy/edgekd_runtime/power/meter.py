"""What every source of power offers: one curve of energy over time."""

import time
from abc import ABC, abstractmethod


class Meter(ABC):
    """Counts joules, from a zero of its own.

    Attributes:
        name: Key of `edgekd_runtime.power.METERS`.
        scope: What it counts, in words.
    """

    name: str
    scope: str

    @abstractmethod
    def joules(self) -> float:
        """Energy so far. Waits for the next reading, at most about a tenth of a second.

        Raises:
            OSError: If the source has gone.
        """

    def close(self) -> None:  # noqa: B027  (optional to override)
        """Free what it holds; nothing by default."""


class Integral:
    """Watts at moments → joules, by the trapezoid rule."""

    def __init__(self) -> None:
        self._joules = 0.0
        self._last: tuple[float, float] | None = None

    def add(self, watts: float) -> float:
        """One reading, taken now; the energy so far."""
        now = time.perf_counter()
        if self._last is not None:
            before, power = self._last
            self._joules += (now - before) * (power + watts) / 2
        self._last = now, watts
        return self._joules
