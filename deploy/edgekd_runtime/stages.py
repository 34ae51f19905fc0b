"""The stages of a frame, each as a call to time."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.files import read_image
from edgekd_runtime.image import fit
from edgekd_runtime.latency import Turn

STAGES = {
    "decode": "the file → RGB; only where there is a file",
    "preprocess": "RGB → the network's size",
    "network": "the bare call",
    "h2d": "of it, by the GPU's own clock: the image to the GPU; this and the next three only where there is one",
    "compute": "the network on the GPU",
    "d2h": "its output to the host",
    "enqueue": "the host's time to hand the frame over",
    "postprocess": "its output → class map at the image's size",
    "end_to_end": "all of them in one call",
}
"""Name → what it is."""
APART = "apart"
"""A call of its own, not the one timed as ``network``: that one may replay a CUDA graph, in which nothing can be timed."""


class Replay(Session):
    """A network that answers at once with a recorded output, so that what is left of `Session.predict` is what comes after it."""

    def __init__(self, artifact: Artifact, output: NDArray[Any]) -> None:
        self.artifact, self.backend, self.version = artifact, "replay", ""
        self._output = output

    def run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        return self._output


def stage_calls(session: Session, image: NDArray[np.uint8], batch: int, file: Path | None) -> dict[str, Callable[[], object]]:
    """Each stage of `session` on `batch` copies of one image; of the first three, inputs are made beforehand.

    Args:
        session: An open model.
        image: RGB, any size.
        batch: Images a call.
        file: What the image is decoded from, or None.
    """
    network_size, size = session.artifact.size, (image.shape[0], image.shape[1])
    fitted = fit(image, network_size)
    ready = np.stack([fitted] * batch)
    replay = Replay(session.artifact, session.run(ready)[:1])

    def decode() -> NDArray[np.uint8]:
        return read_image(file) if file else image

    def whole() -> object:
        if batch == 1:
            return session.predict(decode(), size)
        output = session.run(np.stack([fit(decode(), network_size) for _ in range(batch)]))
        return [Replay(session.artifact, output[index : index + 1]).predict(fitted, size) for index in range(batch)]

    calls: dict[str, Callable[[], object]] = {
        "decode": lambda: [decode() for _ in range(batch)],
        "preprocess": lambda: np.stack([fit(image, network_size) for _ in range(batch)]) if batch > 1 else fit(image, network_size),
        "network": lambda: session.run(ready),
        "postprocess": lambda: [replay.predict(fitted, size) for _ in range(batch)],
        "end_to_end": whole,
        APART: lambda: session.run_apart(ready),
    }
    absent = {"decode": file is None, APART: not session.run_apart(ready)}
    return {name: call for name, call in calls.items() if not absent.get(name)}


def with_parts(turns: Mapping[str, Sequence[Turn]]) -> dict[str, list[Turn]]:
    """The turns of `stage_calls`, those of `APART` as one stage a part."""
    stages = {name: list(each) for name, each in turns.items() if name != APART}
    for turn in turns.get(APART, ()):
        for name, times in turn.parts.items():
            stages.setdefault(name, []).append(Turn(turn.start, turn.stop, times))
    return stages
