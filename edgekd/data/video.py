"""The frames of a video file as image files, decoded once in order: exact in any container, and as fast to read as any image."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.console import Update, note, progress
from edgekd_runtime.atomic import scratch
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import read_json, user_cache, write_image, write_json
from edgekd_runtime.typed import typed
from edgekd_runtime.video.sources import VideoReader

INDEX = "frames.json"
COMPLETE = 0.9
"""Share of the duration in its header below which a video counts as cut short. Of a variable rate, the number of frames is an estimate."""


@dataclass(frozen=True)
class Taken:
    """Which frames, and how large.

    Attributes:
        step: Every so many-th.
        rate: Frames per second instead, by the video's own time stamps.
        limit: Frames that are larger than this (H, W) on both sides are shrunk until one side has it; None = as they are.
    """

    step: int = 1
    rate: float | None = None
    limit: tuple[int, int] | None = None


def frames(video: Path, taken: Taken, update: Update = lambda done, total, note="": None) -> Iterator[NDArray[np.uint8]]:
    """The frames, RGB uint8 H×W×3, in order; one is in memory at a time.

    Args:
        video: The file.
        taken: Which, and how large.
        update: Told of progress.

    Raises:
        EdgeKDError: If it can't be opened, holds no frame, or ends early.
    """
    VideoReader(video).close()  # says what is wrong with one that can't be opened
    capture = cv2.VideoCapture(str(video))
    try:
        count, fps = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), capture.get(cv2.CAP_PROP_FPS)
        number, given, seconds = 0, 0, 0.0
        while capture.grab():
            # a container without time stamps counts its frames
            seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3 or number / max(fps, 1e-9)
            if given == 0 or _is_taken(number, given, seconds, taken):
                ok, frame = capture.retrieve()
                if not ok:
                    break
                yield cv2.cvtColor(shrunk(frame, taken.limit), cv2.COLOR_BGR2RGB)
                given += 1
            number += 1
            update(number, max(count, number))
        whole = count / fps if count > 1 and fps > 0 else 0.0
        if seconds + 1.5 * whole / max(count, 1) < COMPLETE * whole:
            raise EdgeKDError(
                f"{video} ends after {seconds:.1f} of {whole:.1f} seconds, so it is cut short or damaged; copy it again, or leave it out."
            )
    finally:
        capture.release()


def _is_taken(number: int, given: int, seconds: float, taken: Taken) -> bool:
    """Whether the frame of a number and a time is one, after so many that were."""
    return number % taken.step == 0 if taken.rate is None else seconds * taken.rate >= given - 1e-6


def shrunk(frame: NDArray[np.uint8], limit: tuple[int, int] | None) -> NDArray[np.uint8]:
    """A frame no larger than it has to be to cover `limit`."""
    if limit is None:
        return frame
    height, width = frame.shape[:2]
    ratio = max(limit[0] / height, limit[1] / width)
    if ratio >= 1:
        return frame
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def extracted(video: Path, taken: Taken) -> list[Path]:
    """The taken frames of a video as image files in the user's cache, written there if they are not yet whole.

    Raises:
        EdgeKDError: If the video can't be read, or the cache can't be written.
    """
    folder = user_cache() / "frames" / _digest(video, taken)
    with _one_at_a_time(folder):
        if not _whole(folder):
            _extract(video, taken, folder)
    return sorted(folder.glob("*.jpg"))


def _digest(video: Path, taken: Taken) -> str:
    """Changes with the file's place, size and time, and with what is taken of it."""
    state = video.stat()
    parts = [str(video.resolve()), state.st_size, state.st_mtime_ns, asdict(taken)]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()


def _whole(folder: Path) -> bool:
    """Whether the folder holds what its index says."""
    if not (folder / INDEX).is_file():
        return False
    try:
        index = typed(_Index, read_json(folder / INDEX), str(folder / INDEX), "it is written again")
    except EdgeKDError:
        return False
    sizes = [file.stat().st_size for file in folder.glob("*.jpg")]
    return (len(sizes), sum(sizes)) == (index.frames, index.bytes)


@dataclass(frozen=True)
class _Index:
    """What `INDEX` says of a folder."""

    frames: int
    bytes: int


def _extract(video: Path, taken: Taken, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with scratch(folder.parent) as hidden:
            temporary = hidden / folder.name
            temporary.mkdir()
            with progress(f"frames of {video.name}") as update:
                for number, frame in enumerate(frames(video, taken, update)):
                    write_image(temporary / f"{number:07d}.jpg", frame)
            sizes = [file.stat().st_size for file in temporary.glob("*.jpg")]
            write_json(temporary / INDEX, {"video": str(video), "frames": len(sizes), "bytes": sum(sizes), "taken": asdict(taken)})
            temporary.rename(folder)
    except OSError as error:
        raise EdgeKDError(f"Can't write {folder.parent}: {error.strerror}; set XDG_CACHE_HOME to another folder.") from error
    note(f"{video}: {len(sizes)} frames, {sum(sizes) / 1e6:.0f} MB in {folder}")


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Only one of several processes extracts; the others wait and find it done."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = (folder.parent / f".{folder.name}.lock").open("w")
    except OSError as error:
        raise EdgeKDError(f"Can't write {folder.parent}: {error.strerror}; set XDG_CACHE_HOME to another folder.") from error
    with lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield
