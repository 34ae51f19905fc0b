"""An axis: values to pixels, with ticks at round numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_NAME = 36  # pixels that the name of a tick needs


@dataclass(frozen=True)
class Axis:
    """A scale.

    Attributes:
        low, high: Values at its two ends.
        start, end: Pixels at its two ends.
        ticks: Values to name, between the ends.
        logarithmic: Whether equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high = (math.log(self.low), math.log(self.high)) if self.logarithmic else (self.low, self.high)
        return self.start + ((math.log(value) if self.logarithmic else value) - low) / (high - low) * (self.end - self.start)

    @staticmethod
    def latency(values: Sequence[float], start: float, end: float) -> "Axis":
        """An axis for positive values: logarithmic beyond a range of 10×, else linear, from zero where that costs little room."""
        low, high = min(values), max(values)
        if high > 10 * low:
            low, high = low / 1.25, high * 1.35
            octave = math.log(2) / math.log(high / low) * abs(end - start)
            return Axis(low, high, start, end, _log_ticks(low, high, (1, 2, 5) if octave > _NAME else (1,)), True)
        room = 0.14 * (high - low) or 0.25 * high
        low, high = (0.0 if low < 0.45 * high else low - room, high + room)
        return Axis(low, high, start, end, ticks(low, high, max(3, int(abs(end - start) / 90))))

    @staticmethod
    def accuracy(values: Sequence[float], start: float, end: float) -> "Axis":
        """A linear axis for percentages, a little wider than the values."""
        room = max(0.16 * (max(values) - min(values)), 0.5)
        low, high = max(0.0, min(values) - room), min(100.0, max(values) + room)
        if low >= high:
            low, high = 0.0, 100.0
        return Axis(low, high, start, end, ticks(low, high, max(3, int(abs(end - start) / 48))))


def ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """At most about `count` multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(index * step, 10) for index in range(first, last + 1))


def _log_ticks(low: float, high: float, factors: tuple[int, ...]) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return tuple(factor * 10.0**power for power in powers for factor in factors if low <= factor * 10.0**power <= high)
