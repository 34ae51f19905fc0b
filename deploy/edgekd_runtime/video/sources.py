"""Where frames come from: a video file, numbered images, a camera or a stream."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.files import read_image

Frame = NDArray[np.uint8]
USUAL_FPS = 25.0
STREAM_TIMEOUT_MS = 10_000


@dataclass(frozen=True)
class VideoInfo:
    """Frame rate (1/s), frame count (0 where nobody says), (H, W) of a video, and whether only its viewer ends it."""

    fps: float
    frames: int
    size: tuple[int, int]
    endless: bool = False


class ImageReader:
    """Frames from numbered images: a folder, or a pattern such as ``frames/*.png``, in the order of their names.

    Args:
        pattern: Folder or pattern.
        fps: Frame rate that the images stand for.

    Raises:
        EdgeKDError: If there is none, or one is damaged or of another size.
    """

    def __init__(self, pattern: str | Path, fps: float = USUAL_FPS) -> None:
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


class CaptureReader:
    """Frames that OpenCV decodes, as RGB, upright where the file says how it was held; open it with one of the functions below.

    Args:
        capture: Opened by OpenCV, or not.
        fps: Instead of the rate that the capture names. A file's own is its mean: where frames last for different
            times, the whole lasts as long as before and each frame equally long.
        endless: It is a camera or a stream.
        unopened: The sentence for a capture that gives no frame.

    Raises:
        EdgeKDError: If it gives no frame.
    """

    def __init__(self, capture: cv2.VideoCapture, unopened: str, fps: float | None = None, endless: bool = False) -> None:
        self._capture = capture
        self._first: Frame | None = capture.read()[1] if capture.isOpened() else None
        if self._first is None:
            raise EdgeKDError(unopened)
        found = capture.get(cv2.CAP_PROP_FPS)
        count = 0 if endless else max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        height, width = self._first.shape[:2]
        self.info = VideoInfo(fps or (found if 0 < found < 1000 else USUAL_FPS), count, (height, width), endless)

    def __iter__(self) -> Iterator[Frame]:
        frame, ok = self._first, True
        self._first = None
        while ok and frame is not None:
            if frame.shape[:2] != self.info.size:  # a stream may change its mind
                frame = cv2.resize(frame, self.info.size[::-1], interpolation=cv2.INTER_AREA)
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            ok, frame = self._capture.read()

    def close(self) -> None:
        """Release the decoder."""
        self._capture.release()


class VideoReader(CaptureReader):
    """Frames of a video file, as RGB.

    Args:
        path: Of the file.

    Raises:
        EdgeKDError: If the video can't be opened or holds no frame.
    """

    def __init__(self, path: str | Path) -> None:
        if not Path(path).exists():
            raise EdgeKDError(f"No video at {path}; give the path of a video file.")
        unopened = f"{path} can't be opened as a video; check that it is whole, or convert it to H.264 in MP4."
        super().__init__(cv2.VideoCapture(str(path)), unopened)


def open_camera(index: int, fps: float | None = None) -> CaptureReader:
    """The camera of an index, as the system counts them."""
    unopened = f"Camera {index} gives no picture; check that it is connected, free and readable for you (ls /dev/video*)."
    return CaptureReader(cv2.VideoCapture(index), unopened, fps, endless=True)


def open_stream(url: str, fps: float | None = None) -> CaptureReader:
    """The stream at a URL, given up after ten seconds of silence."""
    patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, STREAM_TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, STREAM_TIMEOUT_MS]
    unopened = f"{url} gives no picture; check the address, and that a player such as VLC can show it."
    return CaptureReader(cv2.VideoCapture(url, cv2.CAP_FFMPEG, patience), unopened, fps, endless=True)


def open_frames(source: str | Path, fps: float | None = None) -> ImageReader | CaptureReader:
    """The reader for a source.

    Args:
        source: Video file, folder of images, a pattern with ``*``, number of a camera, or URL of a stream.
        fps: Frame rate of images (25 where None), or of a camera or stream instead of what it says.

    Raises:
        UsageError: If a frame rate is given for a video file.
        EdgeKDError: If it can't be opened.
    """
    if "://" in str(source):
        return open_stream(str(source), fps)
    if str(source).isdecimal() and not Path(source).exists():
        return open_camera(int(str(source)), fps)
    if Path(source).is_dir() or "*" in str(source):
        return ImageReader(source, fps or USUAL_FPS)
    if fps is not None:
        raise UsageError(f"{source} has a frame rate of its own; leave the frame rate out.")
    return VideoReader(source)
