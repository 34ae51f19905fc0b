"""Latency and mIoU of the same model files, side by side."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.accuracy import Accuracy, score
from edgekd_runtime.backends import open_session
from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.image import fit
from edgekd_runtime.latency import Timing, measure
from edgekd_runtime.measurement import Measurement, describe_device

Samples = Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]


def bench(
    model_files: Sequence[Path],
    image: NDArray[np.uint8],
    timing: Timing,
    *,
    backend: str = "onnxruntime-cpu",
    threads: int = 0,
    samples: Callable[[], tuple[int, Samples]] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Measurement]:
    """Measure model files against each other.

    Args:
        model_files: Each with its sidecar beside it.
        image: RGB image that the latency is measured on, resized to each model's rectangle.
        timing: Warm-up, duration and rounds; models alternate within a round.
        backend: A key of `edgekd_runtime.backends.BACKENDS`.
        threads: CPU threads, 0 = the backend's default.
        samples: Gives the number of labelled images and an iterable of them; None = no accuracy.
        progress: Called with (what, done, all).

    Raises:
        EdgeKDError: If a model can't be loaded, or two models and the data disagree on the classes.
    """
    sessions = [open_session(file, backend, threads) for file in model_files]
    try:
        calls = [call for session in sessions for call in (_network_call(session, image), _end_to_end_call(session, image))]
        report = progress or (lambda what, done, total: None)
        latencies = measure(calls, timing, lambda done, total: report("latency", done, total))
        scores = [_accuracy(session, samples, report) for session in sessions]
    finally:
        for session in sessions:
            session.close()
    return [
        Measurement(
            artifact=session.artifact,
            path=str(file),
            size_bytes=file.stat().st_size,
            backend=session.backend,
            backend_version=session.version,
            threads=threads,
            latency={"network": latencies[2 * index], "end_to_end": latencies[2 * index + 1]},
            accuracy=accuracy,
            images=images,
            timing=timing,
            device=describe_device(),
        )
        for index, (file, session, (images, accuracy)) in enumerate(zip(model_files, sessions, scores, strict=True))
    ]


def _network_call(session: Session, image: NDArray[np.uint8]) -> Callable[[], object]:
    ready = fit(image, session.artifact.size)[None]
    return lambda: session.run(ready)


def _end_to_end_call(session: Session, image: NDArray[np.uint8]) -> Callable[[], object]:
    size = (image.shape[0], image.shape[1])
    return lambda: session.predict(image, size)


def _accuracy(
    session: Session, samples: Callable[[], tuple[int, Samples]] | None, report: Callable[[str, int, int], None]
) -> tuple[int, Accuracy | None]:
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
