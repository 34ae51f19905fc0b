"""Latency, memory, energy and mIoU of the same model files, side by side."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.accuracy import Accuracy, score
from edgekd_runtime.backends import open_session
from edgekd_runtime.backends.base import Session
from edgekd_runtime.cases import Case, Failed, for_each, plan, stop_at_failure
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.latency import Timing, Turn, device_warnings, measure, summarise, warnings
from edgekd_runtime.measurement import Measurement, describe_device
from edgekd_runtime.memory import peak_memory
from edgekd_runtime.power import open_meter
from edgekd_runtime.power.sampler import LEAST_READINGS, Energy, Sampler
from edgekd_runtime.power.state import machine_state, throttling
from edgekd_runtime.stages import stage_calls, with_parts

Samples = Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]
Source = Callable[[], tuple[int, Samples]]
"""Gives the number of labelled images and an iterable of them."""
Progress = Callable[[str, int, int], None]
"""Called with (what, done, all)."""
NOT_SCORED = 0, None


@dataclass(frozen=True)
class _Subject:
    """A loaded case."""

    session: Session
    peak_memory: int | None
    calls: dict[str, Callable[[], object]]


def bench(
    model_files: Sequence[Path],
    image: NDArray[np.uint8],
    timing: Timing,
    *,
    backends: Sequence[str] = (),
    threads: int = 0,
    samples: Source | None = None,
    progress: Progress | None = None,
    failed: Failed = stop_at_failure,
) -> list[Measurement]:
    """`bench_cases` of these files with one number of threads, one image at a time."""
    return bench_cases(plan(model_files, backends, (threads,)), image, timing, samples=samples, progress=progress, failed=failed)


def bench_cases(
    cases: Sequence[Case],
    image: NDArray[np.uint8],
    timing: Timing,
    *,
    image_file: Path | None = None,
    samples: Source | None = None,
    power: str | None = None,
    idle_s: float = 0.0,
    network_only: bool = False,
    memory: bool = True,
    progress: Progress | None = None,
    failed: Failed = stop_at_failure,
) -> list[Measurement]:
    """Measure models against each other.

    Args:
        cases: What to measure, each once.
        image: RGB image that the latency is measured on, resized to each model's rectangle.
        timing: Warm-up, duration and rounds; models and stages alternate within a round.
        image_file: What `image` was decoded from; its decoding is then timed too.
        samples: Labelled images; None = no accuracy.
        power: Source for `edgekd_runtime.power.open_meter`; None = no energy. Where it fails midway, a warning takes its place.
        idle_s: Seconds at rest, whose power is subtracted; 0 = none is.
        network_only: Leave out every stage but the bare call, which is all that models of one size differ in.
        memory: Measure the peak memory, in a process of its own for each case.
        progress: Told of each step.
        failed: Called with each case that can't be measured, while the others go on; raises by default.

    Raises:
        EdgeKDError: What `failed` raises; or if the power can't be read to begin with.
    """
    report = progress or (lambda what, done, total: None)

    def load(case: Case) -> _Subject:
        report("loading", cases.index(case) + 1, len(cases))
        # first: a model that crashes does so over there
        peak = peak_memory(case.file, case.backend, case.threads, case.batch) if memory else None
        session = opened.enter_context(open_session(case.file, case.backend, case.threads))
        calls = stage_calls(session, image, case.batch, image_file)
        return _Subject(session, peak, {"network": calls["network"]} if network_only else calls)

    with ExitStack() as opened:
        meter = opened.enter_context(closing(open_meter(power))) if power else None
        subjects = for_each(cases, load, failed)
        before = machine_state()
        with Sampler(meter, idle_s) if meter else nullcontext() as sampler:
            turns = _time(subjects, timing, failed, report)
        state = {"before": before, "after": machine_state()}
        energy = {case: _energy(sampler, case_turns, case.batch) for case, case_turns in turns.items()}
        scores = for_each(turns, lambda case: _accuracy(subjects[case].session, samples, report), failed)
    return [
        Measurement(  # also where it could not be scored: its latency was measured, and `failed` has been told
            artifact=subjects[case].session.artifact,
            path=str(case.file),
            size_bytes=case.file.stat().st_size,
            backend=subjects[case].session.backend,
            backend_version=subjects[case].session.version,
            threads=case.threads,
            latency=(latency := {stage: summarise(stage_turns) for stage, stage_turns in turns[case].items()}),
            accuracy=scores.get(case, NOT_SCORED)[1],
            images=scores.get(case, NOT_SCORED)[0],
            timing=timing,
            device=describe_device(),
            batch=case.batch,
            peak_memory_bytes=subjects[case].peak_memory,
            energy=energy[case][0],
            state=state,
            warnings=[
                *subjects[case].session.notes,
                *warnings(latency["network"]),
                *device_warnings(latency),
                *throttling(**state),
                *energy[case][1],
            ],
        )
        for case in turns
    ]


def _time(subjects: dict[Case, _Subject], timing: Timing, failed: Failed, report: Progress) -> dict[Case, dict[str, list[Turn]]]:
    """Every stage of every case that ran to the end."""
    stages = [(case, stage) for case, subject in subjects.items() for stage in subject.calls]
    calls = [subjects[case].calls[stage] for case, stage in stages]
    results = dict(zip(stages, measure(calls, timing, lambda done, total: report("latency", done, total)), strict=True))

    def turns_of(case: Case) -> dict[str, list[Turn]]:
        return with_parts({stage: _turns(results[case, stage]) for stage in subjects[case].calls})

    return for_each(subjects, turns_of, failed)


def _turns(result: list[Turn] | Exception) -> list[Turn]:
    if isinstance(result, Exception):
        raise result
    return result


def _energy(sampler: Sampler | None, turns: dict[str, list[Turn]], batch: int) -> tuple[dict[str, Energy], list[str]]:
    """Energy by stage, and what is wrong with it; it is missing where the meter failed: the latencies are worth keeping without it."""
    if sampler is None:
        return {}, []
    try:
        energy = {stage: sampler.energy(turns[stage], batch) for stage in turns if stage in ("network", "end_to_end")}
    except EdgeKDError as error:
        return {}, [f"its energy is missing: {error}"]
    readings = sampler.readings(turns["network"])
    doubt = f"its energy rests on {readings:.1f} readings a turn (limit {LEAST_READINGS}); measure longer with --seconds."
    return energy, [doubt] if readings < LEAST_READINGS else []


def _accuracy(session: Session, samples: Source | None, report: Progress) -> tuple[int, Accuracy | None]:
    if samples is None:
        return 0, None
    count, pairs = samples()
    if count == 0:
        raise EdgeKDError("The data split has no images to measure accuracy on; check `edgekd data check`.")

    def counted() -> Samples:
        for position, pair in enumerate(pairs, 1):
            yield pair
            report(f"accuracy of {session.artifact.name}", position, count)

    return count, score(session.predict, counted(), len(session.artifact.classes))
