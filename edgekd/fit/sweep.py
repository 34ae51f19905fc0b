"""The measuring: every candidate twice, some minutes apart, so that what else the machine does shows as noise and not as latency."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.console import duration, note, progress
from edgekd.device import DeviceOptions, bench_on_device, device_facts
from edgekd.fit.candidate import Candidate, Capacity, labels
from edgekd.fit.choice import Form, Tried
from edgekd.fit.records import Records
from edgekd.fit.untrained import export_untrained
from edgekd_runtime.artifact import CPU, TENSORRT, load_artifact
from edgekd_runtime.backends import BACKENDS, backend_named, usable_backends
from edgekd_runtime.cases import Case, plan
from edgekd_runtime.cli.bench import NOT_MEASURED
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.harness import bench_cases
from edgekd_runtime.latency import Timing
from edgekd_runtime.measurement import Measurement, describe_device

SWEEPS = 2


@dataclass(frozen=True)
class Plan:
    """How candidates are measured.

    Attributes:
        precisions: Of `edgekd.export.precision.PRECISIONS`.
        device: ``ssh://…``; None = this machine.
        backends: What runs them; all that are installed and suit where empty.
        threads: CPU threads; 0 = the backend's default.
        seconds: At least this long a file and backend, over both sweeps.
        trt: Build TensorRT engines on the device.
    """

    precisions: tuple[str, ...] = ("fp32", "int8")
    device: str | None = None
    backends: tuple[str, ...] = ()
    threads: int = 0
    seconds: float = 1.0
    trt: bool = False

    @property
    def targets(self) -> tuple[str, ...]:
        """What INT8 is written for."""
        return (CPU, TENSORRT) if self.trt else (CPU,)

    def conditions(self) -> dict[str, Any]:
        """What the figures depend on beside the files; asks the device.

        Raises:
            UsageError: If a backend is unknown or runs no ONNX files.
            MissingError: If one is not installed, or the device can't be reached.
        """
        how = {"backends": self.backends, "threads": self.threads, "seconds": self.seconds, "trt": self.trt, "device": self.device}
        if self.device is not None:
            return {**how, "machine": device_facts(self.device)}
        for name in self.backends:
            if backend_named(name).reads != ".onnx":
                known = [one for one, backend in BACKENDS.items() if backend.reads == ".onnx"]
                raise UsageError(f"{name} can't run ONNX files, the format that candidates are exported to; use {' or '.join(known)}.")
            BACKENDS[name].version()
        usable = {name: version for name, (works, version) in usable_backends().items() if works}
        if not any(BACKENDS[name].reads == ".onnx" for name in usable):
            raise MissingError("Nothing here runs ONNX files: pip install 'edgekd[cpu]'.")
        return {**how, "machine": describe_device(), "usable": usable}


@dataclass
class Fit:
    """One run over all candidates; what is measured already is taken from the records.

    Attributes:
        failures: Candidate's key → precision → why it was not measured.
    """

    found: Sequence[Candidate]
    capacities: Sequence[Capacity]
    plan: Plan
    records: Records
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self) -> list[Tried]:
        """Measure what is missing, forwards in one sweep and backwards in the next.

        Raises:
            UsageError: If the device refuses the options.
            MissingError: If the device can't be reached any more; what was measured is kept.
        """
        names = labels(self.found)
        units = [(sweep, index) for sweep in range(SWEEPS) for index in range(len(names))[:: -1 if sweep % 2 else 1]]
        units = [(sweep, index) for sweep, index in units if self._missing(self.found[index], sweep)]
        begin = time.monotonic()
        for done, (sweep, index) in enumerate(units):
            left = f", {duration((time.monotonic() - begin) / done * (len(units) - done))} left" if done else ""
            note(f"{done + 1}/{len(units)} {names[index]}, sweep {sweep + 1} of {SWEEPS}{left}")
            self._measure(self.found[index], sweep)
        self.records.drop_all_models()
        tried = zip(names, self.found, self.capacities, strict=True)
        return [Tried(name, one, capacity, self._forms(one), self.failures.get(one.key, {})) for name, one, capacity in tried]

    def _missing(self, one: Candidate, sweep: int) -> list[str]:
        failed = self.failures.get(one.key, {})
        return [name for name in self.plan.precisions if name not in failed and not self.records.load(one, name, sweep)]

    def _measure(self, one: Candidate, sweep: int) -> None:
        """Measure what is missing of a candidate, its precisions in turn."""
        wanted = self._missing(one, sweep)
        if not wanted:
            return
        files = export_untrained(one, self.records.num_classes, self.records.models(one), wanted, self.plan.targets)
        made = [file for several in files.made.values() for file in several]
        measured, reasons = self._bench(made, self._again(one, made) if sweep else []) if made else ([], {})
        self.records.save(one, sweep, measured)
        came = {result.artifact.precision for result in measured}
        none = {name: reasons.get(name, "no backend there is made for it") for name in files.made if name not in came}
        self._failed(one, files.failures | none)
        if sweep == SWEEPS - 1:
            self.records.drop_models(one)

    def _failed(self, one: Candidate, reasons: dict[str, str]) -> None:
        for precision, reason in reasons.items():
            note(f"{one.model.name} {precision} is left out: {reason}")
            self.failures.setdefault(one.key, {})[precision] = reason

    def _again(self, one: Candidate, files: Sequence[Path]) -> list[Case]:
        """What ran in the first sweep, where each file is tried in a process of its own first: one that crashes does so there."""
        ran = [(file, result.backend) for file in files for result in self.records.load(one, _precision(file), 0)]
        return [Case(file, backend, self.plan.threads) for file, backend in ran]

    def _bench(self, files: Sequence[Path], again: Sequence[Case]) -> tuple[list[Measurement], dict[str, str]]:
        """Measurements, and precision → what went wrong, on all backends or on some.

        Args:
            files: Exported models.
            again: What is measured instead of the files on every backend, without their memory.
        """
        if self.plan.device is not None:
            return _bench_there(self.plan.device, files, self.plan)
        reasons: dict[str, str] = {}

        def failed(case: Case, error: EdgeKDError) -> None:
            reasons[_precision(case.file)] = str(error)
            note(f"{NOT_MEASURED}{error}")

        noise = np.random.default_rng(0).integers(0, 256, (*load_artifact(files[0]).size, 3)).astype(np.uint8)
        with progress("bench") as update:
            measured = bench_cases(
                again or plan(files, self.plan.backends, (self.plan.threads,)),
                noise,
                Timing(seconds=self.plan.seconds / SWEEPS),
                network_only=True,
                memory=not again,
                progress=lambda what, done, total: update(done, total, what),
                failed=failed,
            )
        return measured, reasons

    def _forms(self, one: Candidate) -> tuple[Form, ...]:
        """What both sweeps say of each precision on each backend."""
        failed = self.failures.get(one.key, {})
        groups: dict[tuple[str, str, str], list[Measurement]] = {}
        for precision in (name for name in self.plan.precisions if name not in failed):
            for sweep in range(SWEEPS):
                for result in self.records.load(one, precision, sweep):
                    groups.setdefault((precision, result.artifact.target, result.backend), []).append(result)
        return tuple(Form.of(sweeps) for sweeps in groups.values())


def _precision(file: Path) -> str:
    """Of a file in a folder of its name; a second form lies in one that says so at its end."""
    return file.parent.name.partition("-trt")[0]


def _bench_there(url: str, files: Sequence[Path], plan: Plan) -> tuple[list[Measurement], dict[str, str]]:
    seconds = plan.seconds / SWEEPS
    options = DeviceOptions(plan.backends, (plan.threads,), seconds=seconds, trt=plan.trt, network_only=True)
    try:
        measured, failures = bench_on_device(url, files, options)
    except (UsageError, MissingError):
        raise
    except EdgeKDError as error:
        return [], dict.fromkeys(map(_precision, files), str(error))
    return measured, dict.fromkeys(map(_precision, files), str(failures[0])) if failures else {}
