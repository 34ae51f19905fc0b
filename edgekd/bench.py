"""`edgekd bench` without its flags: model files to measurements, on the data that their sidecars name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekd.console import progress, table
from edgekd.score import artifact_layout
from edgekd.train.evaluate import pairs
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.bench import Samples, bench
from edgekd_runtime.errors import UsageError
from edgekd_runtime.latency import Timing
from edgekd_runtime.measurement import Measurement


def bench_models(
    files: Sequence[Path],
    timing: Timing,
    *,
    backend: str = "onnxruntime-cpu",
    threads: int = 0,
    accuracy: bool = True,
    limit: int | None = None,
    root: str | None = None,
) -> list[Measurement]:
    """Measure model files against each other on the first model's data.

    Args:
        files: Model files with sidecars.
        timing: How the latency is measured.
        backend: What runs them.
        threads: CPU threads, 0 = the backend's default.
        accuracy: Score them too; without it no data is needed, and the latency is measured on noise.
        limit: Score the first N images only.
        root: Folder of the data, where it has moved.
    """
    artifacts = [Artifact.load(file.parent) for file in files]
    layout = artifact_layout(artifacts[0], root=root) if accuracy else None
    for artifact in artifacts[1:]:
        if layout is not None and artifact.classes.names != artifacts[0].classes.names:
            raise UsageError(f"{artifact.name} has other classes than {artifacts[0].name}; bench them apart.")
    noise = np.random.default_rng(0).integers(0, 256, (*artifacts[0].size, 3)).astype(np.uint8)

    def samples() -> tuple[int, Samples]:
        if layout is None:
            return 0, []
        return min(len(layout), limit or len(layout)), pairs(layout, limit)

    with progress("bench") as update:
        return bench(
            files,
            layout.read(0).image if layout is not None else noise,
            timing,
            backend=backend,
            threads=threads,
            samples=samples if accuracy else None,
            progress=lambda what, done, total: update(done, total, what),
        )


def show(measured: Sequence[Measurement]) -> None:
    """Print as a table."""
    rows = []
    for one in measured:
        network, whole = one.latency["network"], one.latency["end_to_end"]
        rows.append(
            [
                one.artifact.name,
                f"{one.artifact.size[0]}x{one.artifact.size[1]}",
                f"{100 * one.accuracy.miou:.2f}" if one.accuracy else "–",
                f"{network.p50_ms:.2f}",
                f"{network.p90_ms:.2f}",
                f"{network.p99_ms:.2f}",
                f"{whole.p50_ms:.2f}",
                f"{network.throughput:.1f}",
                f"{one.size_bytes / 1e6:.1f}",
            ]
        )
    first = measured[0]
    table(
        f"{first.backend} {first.backend_version} on {first.device['name']} ({first.device['cores']} cores), ms",
        ["model", "input", "mIoU %", "p50", "p90", "p99", "e2e p50", "img/s", "MB"],
        rows,
    )
