"""What fits, what does not, and which of those that fit has room for the most: arithmetic on what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from edgekd.fit.candidate import Candidate, Capacity
from edgekd_runtime.latency import DRIFT_LIMIT
from edgekd_runtime.measurement import Measurement


@dataclass(frozen=True)
class Limits:
    """What a student may take; None = anything.

    Attributes:
        latency_ms: p50 of the network.
        memory_mib: Peak, beyond an idle Python.
    """

    latency_ms: float | None = None
    memory_mib: float | None = None

    def __bool__(self) -> bool:
        return self.latency_ms is not None or self.memory_mib is not None

    @property
    def words(self) -> str:
        """For a sentence."""
        latency = [] if self.latency_ms is None else [f"{self.latency_ms:g} ms"]
        return " and ".join(latency + ([] if self.memory_mib is None else [f"{self.memory_mib:g} MiB"]))


@dataclass(frozen=True)
class Form:
    """A candidate in a precision on a backend.

    Attributes:
        precision: As its file is called.
        backend: That ran it.
        p50s: Median latency of each sweep, ms.
        memory_mib: Peak; None where that can't be measured.
        unsteady: A sweep was noisy or drifting in itself.
    """

    precision: str
    backend: str
    p50s: tuple[float, ...]
    memory_mib: float | None
    unsteady: bool = False

    @staticmethod
    def of(sweeps: Sequence[Measurement]) -> "Form":
        """What the sweeps over one file on one backend say together."""
        first, latencies = sweeps[0], [one.latency["network"] for one in sweeps]
        peaks = [one.peak_memory_bytes / (1 << 20) for one in sweeps if one.peak_memory_bytes]
        unsteady = any(latency.doubtful for latency in latencies)
        p50s = tuple(latency.p50_ms for latency in latencies)
        return Form(first.artifact.precision, first.backend, p50s, max(peaks, default=None), unsteady)

    @property
    def ms(self) -> float:
        """The quicker sweep's median: what else runs on a machine only ever adds to it."""
        return min(self.p50s)

    @property
    def noise(self) -> float:
        """How much longer the slowest sweep took, as a share."""
        return max(self.p50s) / self.ms - 1

    @property
    def noisy(self) -> bool:
        """Whether its latency is uncertain."""
        return self.unsteady or self.noise > DRIFT_LIMIT

    def over(self, limits: Limits) -> float:
        """The largest of its figures over their limits; at most 1 if it fits. What is unknown is over any limit."""
        shares = [0.0] if limits.latency_ms is None else [self.ms / limits.latency_ms]
        if limits.memory_mib is not None:
            shares.append(float("inf") if self.memory_mib is None else self.memory_mib / limits.memory_mib)
        return max(shares)

    def fits(self, limits: Limits) -> bool:
        """Whether it is within the limits."""
        return self.over(limits) <= 1

    def undecided(self, limits: Limits) -> bool:
        """Whether one sweep was within the latency limit and another was not."""
        return limits.latency_ms is not None and self.ms <= limits.latency_ms < max(self.p50s)


@dataclass(frozen=True)
class Tried:
    """A candidate and what became of it.

    Attributes:
        label: A name that no other has.
        forms: Each precision on each backend that it was measured on.
        failures: Precision → why it was not.
    """

    label: str
    candidate: Candidate
    capacity: Capacity
    forms: tuple[Form, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)

    @cached_property
    def best_forms(self) -> dict[str, Form]:
        """Precision → its form on the backend that is the fastest."""
        found: dict[str, Form] = {}
        for form in sorted(self.forms, key=lambda form: form.ms):
            found.setdefault(form.precision, form)
        return found

    def fitting(self, limits: Limits) -> list[Form]:
        """Of each precision the fastest form that fits, the fastest first."""
        found: dict[str, Form] = {}
        for form in sorted(self.forms, key=lambda form: form.ms):
            if form.fits(limits):
                found.setdefault(form.precision, form)
        return list(found.values())

    def to_json(self, limits: Limits) -> dict[str, Any]:
        """A JSON-safe dictionary."""
        forms = [
            {
                "precision": form.precision,
                "backend": form.backend,
                "p50_ms": form.ms,
                "sweeps_ms": list(form.p50s),
                "memory_mib": form.memory_mib,
                "noisy": form.noisy,
                "fits": form.fits(limits),
            }
            for form in self.forms
        ]
        return {
            "label": self.label,
            "model": self.candidate.model.name,
            "output_stride": self.candidate.model.output_stride,
            "head_channels": self.candidate.model.head_channels,
            "size": list(self.candidate.size),
            "parameters_m": self.capacity.parameters_m,
            "gmacs": self.capacity.gmacs,
            "published_cityscapes_miou": self.capacity.published.miou if self.capacity.published else None,
            "forms": forms,
            "failures": self.failures,
        }


def best(tried: Sequence[Tried], limits: Limits) -> Tried | None:
    """Of those that fit in some precision the one with the highest `Capacity.rank`, the fastest of equals; None if none fits."""
    fitting = [one for one in tried if one.fitting(limits)]
    return max(fitting, key=lambda one: (one.capacity.rank, -one.fitting(limits)[0].ms), default=None)


def roomiest(tried: Sequence[Tried], limits: Limits) -> Tried | None:
    """Of those that fit the one with the most multiply-adds, whatever is published; None if none fits."""
    return max((one for one in tried if one.fitting(limits)), key=lambda one: one.capacity.gmacs, default=None)


def nearest_miss(tried: Sequence[Tried], limits: Limits) -> tuple[Tried, Form] | None:
    """What comes closest to the limits where nothing fits; None if nothing was measured."""
    pairs = [(one, form) for one in tried for form in one.forms]
    return min(pairs, key=lambda pair: pair[1].over(limits), default=None)
