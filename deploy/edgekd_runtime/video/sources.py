"""Where frames come from: a video file, numbered images, a camera or a stream."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.files import read_image
from edgekd_runtime.streams import require_utf8
from edgekd_runtime.video.gstreamer import PipelineReader, csi_pipeline
from edgekd_runtime.video.info import PATIENCE_S, Frame, FrameSource, VideoInfo
from edgekd_runtime.video.probe import mean_frame_rate
from edgekd_runtime.video.reconnect import Reconnecting

USUAL_FPS = 25.0


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
        endless: It is a camera or a stream; one that names its number of frames is a file all the same.
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
        count = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        height, width = self._first.shape[:2]
        self.info = VideoInfo(fps or (found if 0 < found < 1000 else USUAL_FPS), count, (height, width), endless and not count)

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
        UsageError: If its name is not UTF-8.
        EdgeKDError: If the video can't be opened or holds no frame.
    """

    def __init__(self, path: str | Path) -> None:
        require_utf8([str(path)])
        if not Path(path).exists():
            raise EdgeKDError(f"No video at {path}; give the path of a video file.")
        unopened = f"{path} can't be opened as a video; check that it is whole, or convert it to H.264 in MP4."
        super().__init__(cv2.VideoCapture(str(path)), unopened, mean_frame_rate(Path(path)))


def open_camera(index: int, fps: float | None = None) -> CaptureReader:
    """The camera of an index, as the system counts them."""
    unopened = f"Camera {index} gives no picture; check that it is connected, free and readable for you (ls /dev/video*)."
    return CaptureReader(cv2.VideoCapture(index), unopened, fps, endless=True)


def open_stream(url: str, fps: float | None = None) -> CaptureReader:
    """The stream at a URL, given up after ten seconds of silence."""
    patience = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(1e3 * PATIENCE_S), cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(1e3 * PATIENCE_S)]
    unopened = f"{_without_password(url)} gives no picture; check the address, and that a player such as VLC can show it."
    return CaptureReader(cv2.VideoCapture(url, cv2.CAP_FFMPEG, patience), unopened, fps, endless=True)


def _endless(source: str, fps: float | None) -> Callable[[], FrameSource] | None:
    """What opens a source that only its viewer ends; None where it is a file or images."""
    if source.startswith("csi:"):
        return lambda: PipelineReader(csi_pipeline(source[4:], fps), fps)
    if source.startswith("gst:"):
        return lambda: PipelineReader(source[4:], fps)
    if "://" in source:
        return lambda: open_stream(source, fps)
    if source.isdecimal() and not Path(source).exists():
        return lambda: open_camera(int(source), fps)
    return None


def _without_password(url: str) -> str:
    """A URL as it may stand in a log."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def open_frames(source: str | Path, fps: float | None = None, reconnect_s: float = 0.0, say: Callable[[str], object] = _say) -> FrameSource:
    """The reader for a source.

    Args:
        source: Video file, folder of images, a pattern with ``*``, number of a camera, ``csi:NUMBER[@HxW]`` (a Jetson's camera),
            ``gst:PIPELINE`` (GStreamer), or URL of a stream.
        fps: Frame rate of images (25 where None), or of a camera or stream instead of what it says.
        reconnect_s: Seconds to try to open a camera or a stream again when it breaks; 0 = that ends it.
        say: Told in a sentence when it broke and when it is back.

    Raises:
        UsageError: If a frame rate or a reconnection is given for what has none.
        EdgeKDError: If it can't be opened.
    """
    open_endless = _endless(str(source), fps)
    if open_endless is not None and (opened := open_endless()).info.endless:
        name = _without_password(str(source))
        return Reconnecting(f"Camera {name}" if name.isdecimal() else name, opened, open_endless, reconnect_s, say)
    if reconnect_s:
        raise UsageError(f"{source} is no camera and no stream, so there is nothing to reconnect to; leave --reconnect out.")
    if open_endless is not None:
        return opened
    if Path(source).is_dir() or "*" in str(source):
        return ImageReader(source, fps or USUAL_FPS)
    if fps is not None:
        raise UsageError(f"{source} has a frame rate of its own; leave the frame rate out.")
    return VideoReader(source)
