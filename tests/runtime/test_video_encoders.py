"""What videos are made of: codecs that browsers play, sound, colours; and what is said where ffmpeg is missing."""

import json
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from edgekd_runtime.video import VideoReader, demo, encoders, probe, video_writer
from tests.runtime.test_video import Brightness, Interrupted

SIZE = (48, 64)
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="there is no ffmpeg (apt install ffmpeg)")


@pytest.fixture(scope="module")
def loud(tmp_path_factory):
    """Two seconds of a test picture at 10 frames a second under a tone that lasts one second longer."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("there is no ffmpeg (apt install ffmpeg)")
    file = tmp_path_factory.mktemp("loud") / "in.mp4"
    inputs = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=2", "-f", "lavfi", "-i", "sine=duration=3"]
    subprocess.run(["ffmpeg", "-v", "error", *inputs, "-c:v", "mpeg4", "-c:a", "aac", file], check=True)
    return file


def streams(file):
    """Of a video file, by ffprobe: kind → its codec, and the duration in seconds."""
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", file]
    about = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {one["codec_type"]: one for one in about["streams"]}, float(about["format"]["duration"])


@needs_ffmpeg
@pytest.mark.parametrize(("name", "codec", "sound"), [("a.mp4", "h264", "aac"), ("a.webm", "vp8", "opus")])
def test_browsers_play_it_and_hear_it(loud, tmp_path, name, codec, sound):
    said = []
    assert demo(Brightness(), loud, tmp_path / name, warn=said.append)[0] == 20 and said == []
    found, seconds = streams(tmp_path / name)
    assert found["video"]["codec_name"] == codec and found["video"]["pix_fmt"] == "yuv420p" and found["audio"]["codec_name"] == sound
    assert len(list(VideoReader(tmp_path / name))) == 20 and seconds == pytest.approx(2, abs=0.15)  # sound as long as the pictures
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name == "a.mp4":
        content = (tmp_path / name).read_bytes()
        assert content.index(b"moov") < content.index(b"mdat")  # it plays while it loads


def test_what_was_cut_short_has_as_much_sound(loud, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        demo(Interrupted(), loud, tmp_path / "out.mp4")
    found, seconds = streams(tmp_path / "out.mp4")
    assert found.keys() == {"video", "audio"} and seconds == pytest.approx(0.4, abs=0.1)


def test_sound_that_cannot_be_read_costs_the_sound_alone(loud, tmp_path, monkeypatch):
    monkeypatch.setitem(encoders.SOUND, ".mp4", "no-such-codec")
    said = []
    assert demo(Brightness(), loud, tmp_path / "out.mp4", warn=said.append)[0] == 20
    assert len(said) == 1 and "has no sound" in said[0] and streams(tmp_path / "out.mp4")[0].keys() == {"video"}


@needs_ffmpeg
def test_colours_are_those_of_the_frame_by_the_standard_that_the_file_names(tmp_path):
    """ffmpeg itself decodes it, as a browser does: by the file's own colour tags."""
    frame = np.zeros((*SIZE, 3), np.uint8)
    frame[:, :32], frame[:, 32:] = (250, 20, 20), (20, 180, 60)
    with video_writer(tmp_path / "a.mp4", 10, SIZE) as append:
        for _ in range(5):
            append(frame)
    to_rgb = ["-vf", "scale=in_color_matrix=bt709:in_range=tv", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.mp4", *to_rgb], check=True, capture_output=True).stdout
    found = np.frombuffer(raw, np.uint8).reshape(-1, *SIZE, 3)[-1].astype(int)
    assert streams(tmp_path / "a.mp4")[0]["video"]["color_space"] == "bt709"
    assert abs(found[8:40, 4:28] - frame[8:40, 4:28]).max() < 12 and abs(found[8:40, 36:60] - frame[8:40, 36:60]).max() < 12


@pytest.mark.parametrize(("name", "code", "words"), [("a.mp4", "FMP4", "no browser plays"), ("a.webm", "VP80", "without the sound")])
def test_without_ffmpeg_opencv_writes_it_and_what_is_missing_is_said(tmp_path, monkeypatch, name, code, words):
    monkeypatch.setattr(encoders, "ffmpeg_encoders", frozenset)
    monkeypatch.setattr(probe, "probe", lambda video: [])
    with video_writer(tmp_path / "in.avi", 10, SIZE) as append:
        for _ in range(5):
            append(np.zeros((*SIZE, 3), np.uint8))
    said = []
    demo(Brightness(), tmp_path / "in.avi", tmp_path / name, warn=said.append)
    codec = int(cv2.VideoCapture(str(tmp_path / name)).get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode()
    assert codec == code and len(said) == 1 and words in said[0] and "ffmpeg" in said[0]


def test_names_that_look_like_options_or_protocols_are_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-y.mp4", "a:b.mp4"):
        with video_writer(name, 10, SIZE) as append:
            append(np.zeros((*SIZE, 3), np.uint8))
        assert (tmp_path / name).is_file()
