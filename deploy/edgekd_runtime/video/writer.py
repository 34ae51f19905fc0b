"""Where frames go: a video file that appears when it is whole, or when Ctrl-C ends it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import atomic
from edgekd_runtime.video.sources import Frame

CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v", ".mov": "mp4v"}


@contextmanager
def video_writer(path: str | Path, fps: float, size: tuple[int, int]) -> Iterator[Callable[[Frame], object]]:
    """Yield a function that appends one RGB frame of `size` (H, W); the file appears when all went well, or on Ctrl-C.

    Raises:
        EdgeKDError: If OpenCV has no encoder for the suffix, or not all frames could be written; what stood at `path` is untouched.
    """
    path = Path(path)
    if path.suffix.lower() not in CODECS:
        raise EdgeKDError(f"Can't write a video as {path.name}; use one of {', '.join(CODECS)}.")
    interrupt: KeyboardInterrupt | None = None
    written = 0

    def write(frame: Frame) -> None:
        nonlocal written
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        written += 1

    with atomic(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*CODECS[path.suffix.lower()]), fps, (size[1], size[0]))
        if not writer.isOpened():
            raise EdgeKDError(f"OpenCV here has no encoder for {path.name}; try .avi, or install an OpenCV with FFmpeg.")
        try:
            yield write
        except KeyboardInterrupt as caught:
            interrupt = caught  # what was written so far stays, playable
        finally:
            writer.release()
        if _frames(temporary) < max(written - 1, min(written, 1)):  # some containers only estimate their length
            raise EdgeKDError(f"Can't write all of {path}; free some space, or choose another folder.")
    if interrupt is not None:
        raise interrupt


def _frames(path: Path) -> int:
    """Frames that a video says it has; OpenCV's encoder tells nobody when a disk is full."""
    reader = cv2.VideoCapture(str(path))
    try:
        return int(reader.get(cv2.CAP_PROP_FRAME_COUNT)) if reader.isOpened() else 0
    finally:
        reader.release()
