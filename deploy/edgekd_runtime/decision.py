"""What to ship: of the files that were measured, the fastest within an accuracy budget, or why that can't be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it brings numpy, which a command line's help must not wait for
    from edgekd_runtime.measurement import Measurement

MIOU_DROP = 1.0
"""Points below the most accurate file of the same model that may be lost where nothing else is asked for."""
FULL, INTEGER = "fp32", "int8"
CURE = "close other programs, or measure longer with --seconds"


def decisions(measured: "Sequence[Measurement]", miou_drop: float = MIOU_DROP) -> list[str]:
    """A sentence for each model that was measured in several ways: the file and the backend to ship.

    Args:
        measured: Measurements of one machine.
        miou_drop: Largest loss of mIoU against the most accurate file of the same model, in points.
    """
    groups: dict[object, list[Measurement]] = {}
    for one in measured:
        groups.setdefault(_model(one), []).append(one)
    return [_Choice(group, miou_drop).sentence() for group in groups.values() if len(group) > 1]


def _model(one: "Measurement") -> object:
    """What files of the same weights have in common: the run's name is what comes before the precision."""
    about = one.artifact
    return about.name.rpartition(f" {about.precision}")[0], about.model, about.method, about.size, about.classes.names


def _each(one: "Measurement") -> float:
    """Milliseconds an image."""
    return one.latency["network"].p50_ms / one.batch


@dataclass(frozen=True)
class _Choice:
    """Measurements of one model, and what it may lose."""

    group: "list[Measurement]"
    miou_drop: float

    def sentence(self) -> str:
        ranked = sorted(self._within(), key=_each)
        best, *others = ranked
        rival = next((other for other in others if _may_change_places(best, other)), None)
        if rival is not None:
            either = " or ".join(f"{_what(one)} ({_each(one):.2f} ms)" for one in (best, rival))
            return f"Too noisy to tell what to ship: {either}; {CURE}."
        figures = f"{_each(best):.2f} ms{self._gain(best)}{self._score(best)}"
        return f"Ship {best.path} on {best.backend}{_threads(best)}: {figures}.{self._else(best)}"

    @property
    def _reference(self) -> float | None:
        return max((one.accuracy.miou for one in self.group if one.accuracy), default=None)

    def _within(self) -> "list[Measurement]":
        reference = self._reference
        if reference is None:
            return self.group
        return [one for one in self.group if one.accuracy and 100 * (reference - one.accuracy.miou) <= self.miou_drop]

    def _fastest(self, integer: bool) -> "Measurement | None":
        """In INT8, or in FP32."""
        word = INTEGER if integer else FULL
        fitting = [one for one in self.group if one.artifact.precision.startswith(word)]
        return min(fitting, key=_each, default=None)

    def _gain(self, best: "Measurement") -> str:
        full = self._fastest(integer=False)
        if full is None or full is best:
            return ""
        noisy = best.latency["network"].doubtful or full.latency["network"].doubtful
        return "" if noisy else f", {_each(full) / _each(best):.2f} times as fast as {_what(full)}"

    def _score(self, best: "Measurement") -> str:
        if best.accuracy is None or self._reference is None:
            return "; its accuracy was not measured"
        lost = 100 * (self._reference - best.accuracy.miou)
        return f", {best.artifact.score_name} {100 * best.accuracy.miou:.2f}" + (
            f", {lost:.2f} below the most accurate file's" if lost else ""
        )

    def _else(self, best: "Measurement") -> str:
        """What became of INT8 where it is not what ships."""
        integer, full = self._fastest(integer=True), self._fastest(integer=False)
        if integer is None or full is None or best.artifact.precision.startswith(INTEGER):
            return ""
        if _may_change_places(integer, full):
            return f" Whether INT8 is faster than FP32 is too noisy to tell; {CURE}."
        if _each(integer) >= _each(full):
            return f" INT8 is slower than FP32 here: {_each(integer):.2f} ms on {integer.backend}."
        return (
            f" INT8 ({_each(integer):.2f} ms on {integer.backend}) loses more than {_points(self.miou_drop)} of {full.artifact.score_name}."
        )


def _may_change_places(one: "Measurement", other: "Measurement") -> bool:
    """Whether noise leaves open which is faster: one of them is noisy, and their middle halves overlap."""
    faster, slower = sorted((one, other), key=_each)
    noisy = any(each.latency["network"].doubtful for each in (one, other))
    return noisy and _edge(faster, +1) >= _edge(slower, -1)


def _edge(one: "Measurement", side: int) -> float:
    """End of the middle half of its calls, widened by its drift, in ms an image."""
    latency = one.latency["network"]
    return _each(one) * (1 + side * (latency.spread / 2 + abs(latency.drift)))


def _points(count: float) -> str:
    return f"{count:g} point{'s' * (count != 1)}"


def _threads(one: "Measurement") -> str:
    return f" with {one.threads} thread{'s' if one.threads > 1 else ''}" if one.threads else ""


def _what(one: "Measurement") -> str:
    return f"{one.artifact.name} on {one.backend}{_threads(one)}"
