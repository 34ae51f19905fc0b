"""Sources that only their viewer ends: when they break, come back, or are a GStreamer pipeline."""

import shutil
import threading
import time

import numpy as np
import pytest

from edgekd_runtime.errors import BrokenStreamError, EdgeKDError, MissingError, UsageError
from edgekd_runtime.video import VideoInfo, VideoReader, demo, open_frames, sources
from edgekd_runtime.video.gstreamer import PipelineReader, csi_pipeline
from edgekd_runtime.video.reconnect import Reconnecting
from tests.runtime.test_video import Brightness

needs_gstreamer = pytest.mark.skipif(
    shutil.which("gst-launch-1.0") is None, reason="there is no GStreamer (apt install gstreamer1.0-tools gstreamer1.0-plugins-good)"
)
PICTURES = "videotestsrc num-buffers={} pattern={} ! video/x-raw,width=64,height=48,framerate=15/1"


class Flaky:
    """A camera that gives three frames of a shade and then breaks."""

    def __init__(self, shade, size=(48, 64)):
        self.info, self.shade, self.closed = VideoInfo(10, 0, size, endless=True), shade, False

    def __iter__(self):
        for _ in range(3):
            yield np.full((*self.info.size, 3), self.shade, np.uint8)
        raise BrokenStreamError("its cable is out.")

    def close(self):
        self.closed = True


def opener(*results):
    """Opens these in turn: a camera, or an error while there is none."""
    waiting = list(results)

    def open_again():
        one = waiting.pop(0)
        if isinstance(one, EdgeKDError):
            raise one
        return one

    return open_again


def test_a_broken_stream_is_an_error_and_what_came_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_endless", lambda source, fps: lambda: Flaky(99))
    with pytest.raises(BrokenStreamError, match=r"rtsp://cam/1 broke \(its cable is out\); --reconnect SECONDS") as raised:
        demo(Brightness(), "rtsp://user:secret@cam/1", tmp_path / "out.avi")
    assert raised.value.exit_code == 1 and "secret" not in str(raised.value)
    assert len(list(VideoReader(tmp_path / "out.avi"))) == 3


def test_it_is_opened_again_for_as_long_as_asked(monkeypatch):
    monkeypatch.setattr("edgekd_runtime.video.reconnect.PAUSE_S", 0.01)
    first, second, said = Flaky(10), Flaky(20, (24, 32)), []
    source = Reconnecting("Camera 0", first, opener(), 0.5, said.append)
    frames = []
    with pytest.raises(BrokenStreamError, match=r"Camera 0 broke \(its cable is out\); could not be opened again"):
        source._open = opener(EdgeKDError("away"), second, *[EdgeKDError("away")] * 1000)
        frames.extend(source)
    assert [frame.mean() for frame in frames] == [10] * 3 + [20] * 3 and {frame.shape for frame in frames} == {(48, 64, 3)}
    assert first.closed and second.closed and said[1] == "Camera 0 is back." and len(said) == 3


def test_leaving_does_not_wait_for_a_stream_to_come_back(monkeypatch):
    source = Reconnecting("Camera 0", Flaky(10), opener(*[EdgeKDError("away")] * 100), 60, lambda words: None)
    threading.Timer(0.3, source.leave).start()
    begin = time.monotonic()
    with pytest.raises(BrokenStreamError):
        list(source)
    assert time.monotonic() - begin < 5


def test_a_file_has_nothing_to_reconnect_to(tmp_path):
    with pytest.raises(UsageError, match="nothing to reconnect to"):
        open_frames(tmp_path / "in.mp4", reconnect_s=5)


@needs_gstreamer
def test_a_pipeline_gives_its_frames():
    source = open_frames("gst:" + PICTURES.format(7, "blue"))
    assert source.info == VideoInfo(15, 0, (48, 64), endless=True)
    frames = []
    with pytest.raises(BrokenStreamError, match="broke"):
        frames.extend(source)
    source.close()
    assert len(frames) == 7 and all(frame[..., 2].min() > 230 and frame[..., :2].max() < 25 for frame in frames)


@needs_gstreamer
def test_a_pipeline_that_is_none_is_told_with_its_reason():
    with pytest.raises(EdgeKDError, match=r"gives no picture: .*no-such-element"):
        open_frames("gst:no-such-element")
    with pytest.raises(UsageError, match="must be even"):
        open_frames("gst:videotestsrc num-buffers=2 ! video/x-raw,width=63,height=48")
    with pytest.raises(UsageError, match="open quotation mark"):
        open_frames("gst:videotestsrc 'x")


@needs_gstreamer
def test_a_pipeline_that_hangs_is_given_up(monkeypatch):
    source = PipelineReader("videotestsrc is-live=true ! video/x-raw,width=64,height=48,framerate=1/9")
    monkeypatch.setattr("edgekd_runtime.video.gstreamer.PATIENCE_S", 0.5)
    with pytest.raises(BrokenStreamError, match="gave no picture"):
        list(source)
    source.close()


def test_without_gstreamer_the_install_line_is_shown(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingError, match=r"sudo apt install gstreamer1\.0-tools"):
        open_frames("csi:0")


def test_a_csi_camera_is_a_pipeline():
    assert "sensor-id=1 ! video/x-raw(memory:NVMM),width=1920,height=1080,framerate=60/1" in csi_pipeline("1@1080x1920", 60)
    assert "width=1280,height=720,framerate=30/1" in csi_pipeline("0", None)
    with pytest.raises(UsageError, match="csi:NUMBER@HxW"):
        csi_pipeline("front", None)
