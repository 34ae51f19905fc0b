"""Sources: what opens, what does not and why, and videos that are not as one wishes."""

import shutil
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.video import VideoInfo, VideoReader, demo, open_frames, video_writer
from tests.runtime.test_video import Brightness


def test_images_are_a_video_too(tmp_path):
    for index in (3, 1, 2):
        cv2.imwrite(str(tmp_path / f"f{index}.png"), np.full((48, 64, 3), 40 * index, np.uint8))
    for source in (tmp_path, tmp_path / "f*.png"):
        reader = open_frames(source, fps=15)
        assert reader.info == VideoInfo(15, 3, (48, 64)) and [int(frame.mean()) for frame in reader] == [40, 80, 120]
    cv2.imwrite(str(tmp_path / "f9.png"), np.zeros((48, 60, 3), np.uint8))
    with pytest.raises(EdgeKDError, match=r"f9\.png is not of the first frame's size"):
        list(open_frames(tmp_path))
    with pytest.raises(EdgeKDError, match="No images"):
        open_frames(tmp_path / "x*.png")


def test_what_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    for path in (tmp_path / "a.mp4", tmp_path / "missing.mp4"):
        with pytest.raises(EdgeKDError, match=path.name):
            VideoReader(path)


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("97", "Camera 97 gives no picture"),
        ("rtsp://127.0.0.1:9/x", "rtsp://127.0.0.1:9/x gives no"),
        ("http://127.0.0.1:9/x", "9/x gives no"),
    ],
)
def test_a_camera_or_stream_that_is_not_there_is_named(source, named):
    with pytest.raises(EdgeKDError, match=named):
        open_frames(source)


def test_a_file_keeps_its_own_frame_rate(tmp_path):
    with pytest.raises(UsageError, match=r"in\.mp4 has a frame rate of its own"):
        open_frames(tmp_path / "in.mp4", fps=30)


@pytest.mark.skipif(
    int(cv2.__version__.split(".")[0]) < 5 and shutil.which("ffprobe") is None,
    reason="OpenCV before 5 tells the nominal rate, and there is no ffprobe (apt install ffmpeg)",
)
def test_a_changing_frame_rate_keeps_every_frame_and_the_length(tmp_path):
    frames = [Image.fromarray(np.full((48, 64, 3), 20 * index + 10, np.uint8)) for index in range(10)]
    # 5 frames of 40 ms and 5 of 200 ms: 1.2 s
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=[40] * 5 + [200] * 5)
    assert demo(Brightness(), tmp_path / "in.gif", tmp_path / "out.mp4")[0] == 10
    out = VideoReader(tmp_path / "out.mp4")
    assert out.info.frames / out.info.fps == pytest.approx(1.2, rel=0.01)


def test_a_rotated_video_stands_upright(tmp_path):
    picture = np.zeros((48, 96, 3), np.uint8)
    picture[:, :48] = (250, 0, 0)
    with video_writer(tmp_path / "in.mp4", 10, (48, 96)) as append:
        for _ in range(3):
            append(picture)
    data = bytearray((tmp_path / "in.mp4").read_bytes())
    # the display matrix of ISO 14496-12's track header, version 0: 40 bytes into its content; a quarter turn clockwise
    matrix = data.index(b"tkhd") + 4 + 40
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    (tmp_path / "in.mp4").write_bytes(data)
    reader = VideoReader(tmp_path / "in.mp4")
    frame = next(iter(reader))
    assert reader.info.size == (96, 48) and frame[:40, :, 0].min() > 200 and frame[56:, :, 0].max() < 50
    demo(Brightness(), tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert VideoReader(tmp_path / "out.mp4").info.size == (96, 48 + 150)


def test_what_a_truncated_file_holds_is_written_with_a_note(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    with video_writer(tmp_path / "in.avi", 10, (48, 64)) as append:
        for _ in range(20):
            append(noise)
    data = (tmp_path / "in.avi").read_bytes()
    (tmp_path / "in.avi").write_bytes(data[: len(data) // 2])
    said = []
    frames, _ = demo(Brightness(), tmp_path / "in.avi", tmp_path / "out.avi", warn=said.append)
    assert 5 <= frames <= 11 and len(list(VideoReader(tmp_path / "out.avi"))) == frames
    assert said == [f"{tmp_path / 'in.avi'} ends after {frames} of the 20 frames that it announces; those are all here."]


def test_a_whole_file_has_no_note(tmp_path, capsys):
    with video_writer(tmp_path / "in.mp4", 10, (48, 64)) as append:
        for _ in range(4):
            append(np.zeros((48, 64, 3), np.uint8))
    demo(Brightness(), tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert capsys.readouterr().err == ""
