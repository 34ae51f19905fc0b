"""Video in, overlay video out: every frame read is one frame written, in order."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import atomic, read_image
from edgekd_runtime.image import legend, overlay, text

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class VideoInfo:
    """Frame rate (1/s), frame count (0 where the container does not say) and (H, W) of a video."""

    fps: float
    frames: int
    size: tuple[int, int]


class ImageReader:
    """Frames from numbered images: a folder, or a pattern such as ``frames/*.png``, in the order of their names.

    Args:
        pattern: Folder or pattern.
        fps: Frame rate that the images stand for.

    Raises:
        EdgeKDError: If there is none, or one is damaged or of another size.
    """

    def __init__(self, pattern: str | Path, fps: float = 25.0) -> None:
        folder = Path(pattern)
        names = folder.iterdir() if folder.is_dir() else folder.parent.glob(folder.name)
        self._files = sorted(path for path in names if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".bmp", ".webp"))
        if not self._files:
            raise EdgeKDError(f"No images at {pattern}; give a folder of frames, a pattern such as 'frames/*.png', or a video file.")
        height, width = read_image(self._files[0]).shape[:2]
        self.info = VideoInfo(fps, len(self._files), (height, width))

    def __iter__(self) -> Iterator[Frame]:
        for file in self._files:
            frame = read_image(file)
            if frame.shape[:2] != self.info.size:
                raise EdgeKDError(f"{file} is not of the first frame's size; make all frames {self.info.size[0]}x{self.info.size[1]}.")
            yield frame

    def close(self) -> None:
        """Nothing is held open."""


class VideoReader:
    """Frames of a video file, as RGB.

    Args:
        path: Of the file.

    Raises:
        EdgeKDError: If the video can't be opened or holds no frame.
    """

    def __init__(self, path: str | Path) -> None:
        if not Path(path).exists():
            raise EdgeKDError(f"No video at {path}; give the path of a video file.")
        self._capture = cv2.VideoCapture(str(path))
        self._first: Frame | None = self._capture.read()[1] if self._capture.isOpened() else None
        if self._first is None:
            raise EdgeKDError(f"{path} can't be opened as a video; check the file, or convert it to H.264 in MP4.")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        height, width = self._first.shape[:2]
        self.info = VideoInfo(fps if 0 < fps < 1000 else 25.0, max(count, 0), (height, width))

    def __iter__(self) -> Iterator[Frame]:
        frame = self._first
        while frame is not None:
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            ok, frame = self._capture.read()
            if not ok:
                break

    def close(self) -> None:
        """Release the decoder."""
        self._capture.release()


def open_frames(source: str | Path, fps: float | None = None) -> ImageReader | VideoReader:
    """The reader for a source.

    Args:
        source: Video file, folder of images, or a pattern with ``*``.
        fps: Frame rate of images, 25 where None; a video file has its own.
    """
    if Path(source).is_dir() or "*" in str(source):
        return ImageReader(source, fps or 25.0)
    return VideoReader(source)


@contextmanager
def video_writer(path: str | Path, fps: float, size: tuple[int, int]) -> Iterator[Callable[[Frame], object]]:
    """Yield a function that appends one RGB frame of `size` (H, W); the file appears when all went well, or on Ctrl-C.

    Raises:
        EdgeKDError: If OpenCV has no encoder for the suffix.
    """
    codecs = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v", ".mov": "mp4v"}
    path = Path(path)
    if path.suffix.lower() not in codecs:
        raise EdgeKDError(f"Can't write a video as {path.name}; use one of {', '.join(codecs)}.")
    interrupt: KeyboardInterrupt | None = None
    with atomic(path) as temporary:
        writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*codecs[path.suffix.lower()]), fps, (size[1], size[0]))
        if not writer.isOpened():
            raise EdgeKDError(f"OpenCV here has no encoder for {path.name}; try .avi, or install an OpenCV with FFmpeg.")
        try:
            yield lambda frame: writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        except KeyboardInterrupt as caught:
            interrupt = caught  # what was written so far stays, playable
        finally:
            writer.release()
    if interrupt is not None:
        raise interrupt


def annotate(session: Session, frame: Frame, *, opacity: float, panel: Frame, note: str) -> Frame:
    """Overlay with the class legend on its right and a note on its top left."""
    image = overlay(frame, session.class_map(frame), session.artifact.classes, opacity)
    text(image, note, (8, 20), 0.5)
    return np.hstack([image, panel])


def demo(
    session: Session,
    source: str | Path,
    target: str | Path,
    *,
    opacity: float = 0.5,
    fps: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, float]:
    """Write the overlay video of `source`.

    Args:
        session: Model that segments every frame.
        source: Video file, folder of images, or a pattern such as ``frames/*.png``.
        target: ``.mp4``, ``.avi``, ``.mkv`` or ``.mov``.
        opacity: Of the colours, 0–1.
        fps: Frame rate of images; a video file has its own.
        progress: Called with (frames done, frames in all or 0).

    Returns:
        Frames written, and frames a second (decode, network, drawing and encode together).
    """
    reader = open_frames(source, fps)
    height, width = reader.info.size
    panel = legend(session.artifact.classes, height)
    recent: deque[float] = deque(maxlen=20)
    count, begin = 0, time.perf_counter()
    try:
        # encoders want even sides; the canvas gets one black row or column where the frame is odd
        canvas = np.zeros((height + height % 2, width + panel.shape[1] + (width + panel.shape[1]) % 2, 3), np.uint8)
        with video_writer(target, reader.info.fps, (canvas.shape[0], canvas.shape[1])) as write:
            for frame in reader:
                start = time.perf_counter()
                rate = f"{len(recent) / sum(recent):.1f} fps" if recent else ""
                image = annotate(session, frame, opacity=opacity, panel=panel, note=f"{session.artifact.name}  {rate}")
                canvas[: image.shape[0], : image.shape[1]] = image
                write(canvas)
                recent.append(time.perf_counter() - start)
                count += 1
                if progress is not None:
                    progress(count, reader.info.frames)
    finally:
        reader.close()
    return count, count / (time.perf_counter() - begin)
