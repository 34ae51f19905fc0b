"""`edgekd bench` without its flags: model files to measurements, on the data that their sidecars name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekd.console import note, progress, table
from edgekd.data.files import FileLayout
from edgekd.measure.score import artifact_layout, require_same_classes
from edgekd.report.columns import cells, label, title
from edgekd.report.noise import noise
from edgekd.train.evaluate import pairs
from edgekd_runtime.backends import describe
from edgekd_runtime.cases import Failed, for_each, left_out, plan, stop_at_failure
from edgekd_runtime.harness import Samples, bench_cases
from edgekd_runtime.latency import NOISE, Timing
from edgekd_runtime.measurement import Measurement

SATURATION = 0.02
"""mIoU lost on a backend beyond what the file itself loses, above which its kernels are to blame."""


def bench_models(
    files: Sequence[Path],
    timing: Timing,
    *,
    backends: Sequence[str] = (),
    threads: Sequence[int] = (0,),
    batches: Sequence[int] = (1,),
    accuracy: bool = True,
    limit: int | None = None,
    root: str | None = None,
    power: str | None = None,
    idle_s: float = 0.0,
    failed: Failed = stop_at_failure,
) -> list[Measurement]:
    """Measure model files against each other on the first model's data.

    Args:
        files: Model files with sidecars.
        timing: How the latency is measured.
        backends: What runs the models; each file on those that read it. Without any, on every installed one that it is made for.
        threads: Numbers of CPU threads, 0 = the backend's default; each is measured.
        batches: Numbers of images a call; each is measured.
        accuracy: Score them too; without it no data is needed, and the latency is measured on noise.
        limit: Score N images only, spread over the split.
        root: Folder of the data, where it has moved.
        power: Source of power, or None.
        idle_s: Seconds at rest, whose power is subtracted.
        failed: Told of each case that can't be measured; the first ends the benchmark by default.
    """
    cases = plan(files, backends, threads, batches)
    for sentence in left_out(files, cases):
        note(sentence)
    artifacts = for_each(cases, lambda case: describe(case.file), failed)
    if not artifacts:
        return []
    first = next(iter(artifacts.values()))
    layout = artifact_layout(first, root=root) if accuracy else None
    if layout is not None:
        require_same_classes(artifacts.values())
    noise = np.random.default_rng(0).integers(0, 256, (*first.size, 3)).astype(np.uint8)

    def samples() -> tuple[int, Samples]:
        if layout is None:
            return 0, []
        return min(len(layout), limit or len(layout)), pairs(layout, limit)

    with progress("bench") as update:
        return bench_cases(
            list(artifacts),
            layout.read(0).image if layout is not None else noise,
            timing,
            image_file=Path(layout.name(0)) if isinstance(layout, FileLayout) else None,
            samples=samples if accuracy else None,
            power=power,
            idle_s=idle_s,
            progress=lambda what, done, total: update(done, total, what),
            failed=failed,
        )


def show(measured: Sequence[Measurement]) -> None:
    """Print as a table, and below it whether its latencies are noisy."""
    heads, rows = cells(measured, narrow=True)
    table(title(measured), heads, rows)
    if noisy := noise(measured):
        print(noisy)


def missed_gates(measured: Sequence[Measurement], max_latency_ms: float | None, min_miou: float | None) -> list[str]:
    """A sentence for each measurement that is slower (p50 of the network, ms) or scores less (points) than asked for."""
    sentences = []
    for one in measured:
        name, p50 = label(one), one.latency["network"].p50_ms
        if max_latency_ms is not None and not p50 <= max_latency_ms:
            sentences.append(f"{name} takes {p50:.2f} ms, more than the {max_latency_ms:g} ms of --max-latency-ms.")
        if min_miou is not None and one.accuracy is None:
            sentences.append(f"{name} was not scored, so nothing shows the {min_miou:g} of --min-miou.")
        elif min_miou is not None and one.accuracy and not 100 * one.accuracy.miou >= min_miou:  # NaN misses it too
            sentences.append(
                f"{name} scores {100 * one.accuracy.miou:.2f} % {one.artifact.score_name}, less than the {min_miou:g} of --min-miou."
            )
    return sentences


def advice(measured: Sequence[Measurement]) -> list[str]:
    """What a backend gets wrong, and which figures are unreliable for another reason than noise, which `show` tells, in sentences."""
    sentences = []
    for one in measured:
        about, written = one.artifact.reduction, one.artifact.written_score
        if one.accuracy and written is not None and one.images == about.get("images") and written - one.accuracy.miou > SATURATION:
            cure = "its 8-bit kernels saturate; export it with --weight-bits 7" if about.get("weight_bits") == 8 else "use another"
            sentences.append(
                f"{one.artifact.name} scores {100 * one.accuracy.miou:.2f} on {one.backend}, but {100 * written:.2f} when its "
                f"graph is evaluated as written, so this backend is not exact here: {cure}."
            )
        sentences += [f"{label(one)}: {sentence}" for sentence in one.warnings if not sentence.startswith(NOISE)]
    return sentences
