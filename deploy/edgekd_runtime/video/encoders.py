"""What compresses a video: ffmpeg, where it is installed, for files that browsers play and for sound; OpenCV's own encoders else.

ffmpeg is a program of its own, called with a list of arguments; which codecs it brings, and under which licence, is its installer's matter.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Protocol

import cv2

from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.signals import unheard_by_children
from edgekd_runtime.video.info import Frame
from edgekd_runtime.video.probe import local

OPENCV = {".mp4": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".webm": "VP80", ".avi": "MJPG"}
"""Suffix → four-character code. OpenCV's wheels have no H.264."""
H264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "4", "-crf", "10", "-b:v", "8M")
FFMPEG = {".mp4": H264, ".mov": H264, ".mkv": H264, ".webm": VP8}
SOUND = {".mp4": "aac", ".mov": "aac", ".mkv": "aac", ".webm": "libopus"}
QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error", "-y")
_BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
HD_COLOURS = ("-vf", "scale=out_color_matrix=bt709:out_range=tv", "-pix_fmt", "yuv420p", *_BT709)
"""As players take them to be; without saying so they would show other colours in large videos than in small ones."""


class Encoder(Protocol):
    """Takes RGB frames of one size; the file is whole once it is closed."""

    def write(self, frame: Frame) -> None:
        """Append a frame."""

    def close(self) -> None:
        """Finish the file."""


@cache
def ffmpeg_encoders() -> frozenset[str]:
    """Names of the encoders that ffmpeg has here; none where it is not installed."""
    if shutil.which("ffmpeg") is None:
        return frozenset()
    listed = subprocess.run(["ffmpeg", "-hide_banner", "-encoders"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return frozenset(words[1] for line in listed.stdout.splitlines() if len(words := line.split()) > 1)


def by_ffmpeg(path: Path) -> bool:
    """Whether ffmpeg can write such a file here."""
    return FFMPEG.get(path.suffix.lower(), ("", ""))[1] in ffmpeg_encoders()


def open_encoder(path: Path, fps: float, size: tuple[int, int]) -> Encoder:
    """The best encoder that is here for a file.

    Args:
        path: Of the file; its suffix is one of `OPENCV`.
        fps: Frame rate.
        size: (H, W) of a frame, both even.

    Raises:
        EdgeKDError: If there is none.
    """
    return FFmpegEncoder(path, fps, size) if by_ffmpeg(path) else OpenCVEncoder(path, fps, size)


class OpenCVEncoder:
    """OpenCV's `VideoWriter`."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*OPENCV[path.suffix.lower()]), fps, (size[1], size[0]))
        if not self._writer.isOpened():
            raise EdgeKDError(f"OpenCV here has no encoder for {path.suffix}; try .avi, or install ffmpeg.")

    def write(self, frame: Frame) -> None:
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self._writer.release()


class FFmpegEncoder:
    """Raw frames into a process of ffmpeg, which ends with its input and at no signal: what was written stays playable."""

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        rate = Fraction(fps).limit_denominator(60_000)
        frames = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[1]}x{size[0]}", "-framerate", str(rate), "-i", "pipe:0")
        codec = (*FFMPEG[path.suffix.lower()], *HD_COLOURS, *_quick_start(path))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with this object)
        command = ["ffmpeg", *QUIET, *frames, *codec, local(path)]
        with unheard_by_children():
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self._errors)

    def write(self, frame: Frame) -> None:
        assert self._process.stdin is not None  # for the type checker: it is a pipe
        try:
            self._process.stdin.write(frame.data)
        except BrokenPipeError as error:
            raise self._failure() from error

    def close(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # its status says why
            self._process.stdin.close()
        if self._process.wait():
            raise self._failure()

    def _failure(self) -> EdgeKDError:
        self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines() or ["no reason given"]
        return EdgeKDError(f"ffmpeg: {said[-1]}")


def add_sound(path: Path, source: Path, seconds: float) -> None:
    """Put the sound track of `source` beside the pictures of a video, as long as they last.

    Args:
        path: The video, without sound.
        source: Where the sound is.
        seconds: How long the pictures last.

    Raises:
        EdgeKDError: With ffmpeg's reason; the video is then as it was.
    """
    mixed = path.with_name(f"{path.stem}-sound{path.suffix}")
    inputs = ("-i", local(path), "-i", local(source), "-map", "0:v", "-map", "1:a:0")
    codecs = ("-c:v", "copy", "-c:a", SOUND[path.suffix.lower()], "-t", f"{seconds:.6f}", *_quick_start(path))
    try:
        with unheard_by_children():
            done = subprocess.run(["ffmpeg", *QUIET, *inputs, *codecs, local(mixed)], capture_output=True, check=False)
        if done.returncode:
            said: Sequence[str] = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise EdgeKDError(said[-1])
        mixed.replace(path)
    finally:
        mixed.unlink(missing_ok=True)


def _quick_start(path: Path) -> tuple[str, ...]:
    """The index first, so that a browser shows the video while it loads."""
    return ("-movflags", "+faststart") if path.suffix.lower() in (".mp4", ".mov") else ()
