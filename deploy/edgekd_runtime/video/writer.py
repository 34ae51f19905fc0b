"""Where frames go: a video file that appears when it is whole, or when Ctrl-C or the end of a stream ends it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2

from edgekd_runtime.atomic import atomic
from edgekd_runtime.errors import BrokenStreamError, EdgeKDError
from edgekd_runtime.streams import require_utf8
from edgekd_runtime.video.encoders import OPENCV, SOUND, add_sound, by_ffmpeg, open_encoder
from edgekd_runtime.video.info import Frame
from edgekd_runtime.video.probe import has_sound

SUFFIXES = tuple(OPENCV)
Warn = Callable[[str], object]


@contextmanager
def video_writer(
    path: str | Path, fps: float, size: tuple[int, int], sound: Path | None = None, warn: Warn = lambda words: None
) -> Iterator[Callable[[Frame], object]]:
    """Yield a function that appends one RGB frame of `size` (H, W); the file appears when all went well, and when it was cut short.

    Args:
        path: One of `SUFFIXES`: H.264 or VP8 by ffmpeg where that is installed, else what OpenCV has.
        fps: Frame rate.
        size: (H, W) of a frame, both even.
        sound: Video file whose sound is put beside the pictures; None = none.
        warn: Called with a sentence when sound is left out, or no browser will play the file.

    Raises:
        UsageError: If its name is not UTF-8.
        EdgeKDError: If there is no encoder for the suffix, or not all frames could be written; what stood at `path` is untouched.
    """
    path = Path(path)
    require_utf8([str(path)])
    if path.suffix.lower() not in OPENCV:
        raise EdgeKDError(f"Can't write a video as {path.name}; use one of {', '.join(SUFFIXES)}.")
    cut: KeyboardInterrupt | BrokenStreamError | None = None
    written = 0

    def write(frame: Frame) -> None:
        nonlocal written
        try:
            encoder.write(frame)
        except EdgeKDError as error:
            raise _unfinished(path, error) from error
        written += 1

    with atomic(path) as temporary:
        encoder = open_encoder(temporary, fps, size)
        try:
            yield write
        except BaseException as caught:
            if not written or not isinstance(caught, (KeyboardInterrupt, BrokenStreamError)):
                with suppress(EdgeKDError):
                    encoder.close()
                raise
            cut = caught  # what was written so far stays, playable
        try:
            encoder.close()
        except EdgeKDError as error:
            raise _unfinished(path, error) from error
        if _frames(temporary) < max(written - 1, min(written, 1)):  # some containers only estimate their length
            raise _unfinished(path)
        _finish(temporary, path, sound, written / fps, warn)
    if cut is not None:
        raise cut


def _finish(temporary: Path, path: Path, sound: Path | None, seconds: float, warn: Warn) -> None:
    """Add the sound, and say what is missing."""
    if by_ffmpeg(path):
        if sound is not None and has_sound(sound):
            try:
                add_sound(temporary, sound, seconds)
            except EdgeKDError as error:
                warn(f"{path} has no sound, for that of {sound} can't be read ({error}).")
    elif path.suffix.lower() in SOUND and path.suffix.lower() != ".webm":
        silent = "; it has no sound either" if sound is not None and has_sound(sound) is not False else ""
        warn(f"{path} is MPEG-4 Part 2, which no browser plays{silent}: install ffmpeg with libx264, or write a .webm.")
    elif sound is not None and has_sound(sound) is not False:
        warn(f"{path} is without the sound that {sound} may have; ffmpeg keeps it in .mp4, .mov, .mkv and .webm.")


def _unfinished(path: Path, reason: EdgeKDError | None = None) -> EdgeKDError:
    return EdgeKDError(f"Can't write all of {path}{f' ({reason})' if reason else ''}; free some space, or choose another folder.")


def _frames(path: Path) -> int:
    """Frames that a video says it has; OpenCV's encoder tells nobody when a disk is full."""
    reader = cv2.VideoCapture(str(path))
    try:
        return int(reader.get(cv2.CAP_PROP_FRAME_COUNT)) if reader.isOpened() else 0
    finally:
        reader.release()
