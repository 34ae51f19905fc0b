"""Frames from a GStreamer pipeline in a process of its own: a Jetson's CSI camera, or whatever a pipeline can read.

OpenCV's wheels are built without GStreamer, so nothing depends on which OpenCV a board has. Frames come as Y4M: a line of text says how
large they are, and each is its I420 planes behind a line ``FRAME``.
"""

import os
import select
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator

import cv2
import numpy as np

from edgekd_runtime.errors import BrokenStreamError, EdgeKDError, MissingError, UsageError
from edgekd_runtime.signals import unheard_by_children
from edgekd_runtime.sizes import parse_size
from edgekd_runtime.video.info import PATIENCE_S, Frame, VideoInfo

INSTALL = "sudo apt install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
SINK = "videoconvert ! video/x-raw,format=I420 ! y4menc ! fdsink fd=1"
CSI = "nvarguscamerasrc sensor-id={sensor} ! video/x-raw(memory:NVMM),width={width},height={height},framerate={fps}/1 ! nvvidconv"
CSI_SIZE, CSI_FPS = "720x1280", 30


def csi_pipeline(text: str, fps: float | None) -> str:
    """``0`` or ``0@1080x1920`` → the pipeline of that CSI camera. Not run here: no Jetson was at hand.

    Raises:
        UsageError: If the text is anything else.
    """
    sensor, _, size = text.partition("@")
    if not sensor.isdecimal():
        raise UsageError(f"A CSI camera is csi:NUMBER or csi:NUMBER@HxW, e.g. csi:0@1080x1920, not csi:{text}.")
    height, width = parse_size(size or CSI_SIZE)
    return CSI.format(sensor=sensor, width=width, height=height, fps=round(fps or CSI_FPS))


class PipelineReader:
    """RGB frames of a pipeline.

    Args:
        pipeline: As `gst-launch-1.0` takes it, up to raw video: elements joined by ``!``.
        fps: Instead of the rate that the pipeline names.

    Raises:
        MissingError: If GStreamer is not installed.
        EdgeKDError: If the pipeline is wrong, or gives no frame within ten seconds.
    """

    def __init__(self, pipeline: str, fps: float | None = None) -> None:
        if shutil.which("gst-launch-1.0") is None:
            raise MissingError(f"There is no gst-launch-1.0 here: {INSTALL}.")
        try:
            words = shlex.split(pipeline)
        except ValueError as error:
            raise UsageError(f"The pipeline {pipeline!r} has an open quotation mark.") from error
        self._rest, self._pipeline = b"", pipeline
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with this object)
        with unheard_by_children():
            self._process = subprocess.Popen(
                ["gst-launch-1.0", "-q", *words, "!", *shlex.split(SINK)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
        try:
            size, rate = self._header()
        except BaseException:
            self.close()
            raise
        self.info = VideoInfo(fps or rate, 0, size, endless=True)

    def __iter__(self) -> Iterator[Frame]:
        height, width = self.info.size
        while self._read_line().startswith(b"FRAME"):
            planes = self._read(height * width * 3 // 2)
            if len(planes) < height * width * 3 // 2:
                return
            yield cv2.cvtColor(np.frombuffer(planes, np.uint8).reshape(height * 3 // 2, width), cv2.COLOR_YUV2RGB_I420)

    def close(self) -> None:
        """End the pipeline."""
        self._process.kill()
        self._process.wait()

    def _header(self) -> tuple[tuple[int, int], float]:
        words = self._read_line().decode("ascii", "replace").split()
        if not words or words[0] != "YUV4MPEG2":
            self._process.wait()
            self._errors.seek(0)
            said = [line for line in self._errors.read().decode(errors="replace").splitlines() if "ERROR" in line or "WARNING" in line]
            raise EdgeKDError(f"The pipeline {self._pipeline!r} gives no picture: {said[0] if said else 'it ended at once'}.")
        fields = {word[0]: word[1:] for word in words[1:]}
        height, width = int(fields["H"]), int(fields["W"])
        if height % 2 or width % 2:
            raise UsageError(f"The pipeline gives frames of {height}x{width}; its sides must be even: add a videoscale and a caps filter.")
        numerator, _, denominator = fields.get("F", "25:1").partition(":")
        return (height, width), int(numerator) / max(1, int(denominator)) or 25.0

    def _read_line(self) -> bytes:
        while b"\n" not in self._rest and len(self._rest) < 4096:
            block = self._next()
            if not block:
                break
            self._rest += block
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _read(self, count: int) -> bytes:
        parts, have = [self._rest[:count]], min(count, len(self._rest))
        self._rest = self._rest[count:]
        while have < count and (block := self._next(count - have)):
            parts.append(block)
            have += len(block)
        return b"".join(parts)

    def _next(self, most: int = 4096) -> bytes:
        """What comes next, of at most so many bytes; empty at the end."""
        assert self._process.stdout is not None  # for the type checker: it is a pipe
        file, begin = self._process.stdout.fileno(), time.monotonic()
        while not select.select([file], [], [], 0.2)[0]:
            if time.monotonic() - begin > PATIENCE_S:
                raise BrokenStreamError(f"The pipeline {self._pipeline!r} gave no picture for {PATIENCE_S:.0f} seconds.")
        return os.read(file, most)
