"""Video in, video out: counts, order, odd sizes, and what can go wrong."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.video import VideoReader, demo, video_writer
from edgekd_runtime.video.sources import CaptureReader


class Brightness:
    """A stand-in session: bright pixels are class 1."""

    class artifact:
        name = "stand-in"
        classes = ClassSet(("dark", "bright"), ((255, 0, 0), (0, 255, 0)))

    def class_map(self, image):
        return (image.mean(2) > 127).astype(np.uint8)


def write(path, frames, size):
    with video_writer(path, 10, size) as append:
        for index in range(frames):
            append(np.full((*size, 3), 40 + 20 * index, np.uint8))


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
@pytest.mark.parametrize("size", [(96, 64), (99, 65)])
def test_every_frame_in_is_a_frame_out_in_order(tmp_path, name, size):
    even = (size[0] - size[0] % 2, size[1] - size[1] % 2) if name.endswith("mp4") else size
    write(tmp_path / name, 9, even)
    seen = []
    out = tmp_path / f"out-{name}"
    frames, rate = demo(Brightness(), tmp_path / name, out, opacity=0.0, progress=lambda done, total: seen.append(done))
    assert frames == 9 and seen == list(range(1, 10)) and rate > 0
    reader = VideoReader(out)
    assert reader.info.fps == pytest.approx(10)
    brightness = [frame[50:90, 4:40].mean() for frame in reader]
    assert len(brightness) == 9 and brightness == sorted(brightness)


def test_a_failed_demo_leaves_no_file(tmp_path):
    write(tmp_path / "in.mp4", 3, (48, 64))

    class Failing(Brightness):
        def class_map(self, image):
            raise EdgeKDError("no")

    with pytest.raises(EdgeKDError):
        demo(Failing(), tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


class Interrupted(Brightness):
    """Ctrl-C on the fifth frame."""

    calls = 0

    def class_map(self, image):
        self.calls += 1
        if self.calls == 5:
            raise KeyboardInterrupt
        return super().class_map(image)


def test_ctrl_c_leaves_a_playable_file(tmp_path):
    write(tmp_path / "in.avi", 9, (48, 64))

    with pytest.raises(KeyboardInterrupt):
        demo(Interrupted(), tmp_path / "in.avi", tmp_path / "out.avi")
    assert len(list(VideoReader(tmp_path / "out.avi"))) == 4


def test_ctrl_c_before_the_first_frame_leaves_no_file_and_an_earlier_one_alone(tmp_path):
    write(tmp_path / "in.avi", 9, (48, 64))
    (tmp_path / "out.mp4").write_bytes(b"earlier")

    class AtOnce(Interrupted):
        calls = 4

    with pytest.raises(KeyboardInterrupt):
        demo(AtOnce(), tmp_path / "in.avi", tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"earlier" and len(list(tmp_path.iterdir())) == 2


def test_two_models_stand_side_by_side_under_one_legend(tmp_path):
    write(tmp_path / "in.avi", 3, (96, 160))

    class Dark(Brightness):
        def class_map(self, image):
            return np.zeros((9, 16), np.uint8)

    class Bright(Brightness):
        def class_map(self, image):
            return np.ones((9, 16), np.uint8)

    seen = []
    frames, _ = demo(Dark(), tmp_path / "in.avi", None, compare=Bright(), opacity=1.0, show=lambda image: seen.append(image.copy()))
    assert frames == len(seen) == 3 and seen[0].shape == (96, 2 * 160 + 150, 3)
    below = seen[-1][60:, :]
    assert (below[:, :160] == (255, 0, 0)).all() and (below[:, 160:320] == (0, 255, 0)).all()
    assert (seen[-1][:30, :160] > 150).all(2).any() and (seen[-1][:30, 160:320] > 150).all(2).any()  # both are named


def test_frames_must_go_somewhere(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        demo(Brightness(), tmp_path / "in.avi", None)


def test_the_source_is_not_written_over(tmp_path):
    write(tmp_path / "in.avi", 3, (48, 64))
    before = (tmp_path / "in.avi").read_bytes()
    (tmp_path / "link.avi").symlink_to(tmp_path / "in.avi")
    with pytest.raises(UsageError, match="is the video itself"):
        demo(Brightness(), tmp_path / "in.avi", tmp_path / "link.avi")
    assert (tmp_path / "in.avi").read_bytes() == before


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".webm"])
def test_a_full_disk_is_told_and_an_earlier_video_stays(tmp_path, suffix):
    """Not every encoder says something; a limit on the size of files stands for the disk."""
    target = tmp_path / f"out{suffix}"
    write(target, 3, (48, 64))
    before = target.read_bytes()
    program = """
import resource, signal, sys
import numpy as np
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.video import video_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
random = np.random.default_rng(0)
try:
    with video_writer(sys.argv[1], 10, (240, 320)) as write:
        for _ in range(30):
            write(random.integers(0, 256, (240, 320, 3)).astype(np.uint8))
except EdgeKDError as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", program, target], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and f"Can't write all of {target}" in done.stderr and "; free some space" in done.stderr, done.stderr
    assert target.read_bytes() == before and list(tmp_path.iterdir()) == [target]


def test_an_error_while_writing_ends_the_demo(tmp_path):
    write(tmp_path / "in.avi", 9, (48, 64))

    def full(image):
        raise EdgeKDError("The disk is full.")

    with pytest.raises(EdgeKDError, match="The disk is full"):
        demo(Brightness(), tmp_path / "in.avi", tmp_path / "out.avi", show=full)
    assert [path.name for path in tmp_path.iterdir()] == ["in.avi"]


def test_a_file_shown_alone_keeps_its_pace(tmp_path):
    write(tmp_path / "in.avi", 5, (48, 64))
    begin = time.perf_counter()
    demo(Brightness(), tmp_path / "in.avi", None, show=lambda image: None)
    assert time.perf_counter() - begin >= 4 / 10


def test_ctrl_c_is_the_end_of_a_camera(tmp_path, monkeypatch):
    write(tmp_path / "camera.avi", 9, (48, 64))
    camera = CaptureReader(cv2.VideoCapture(str(tmp_path / "camera.avi")), "no camera")
    camera.info = replace(camera.info, endless=True, frames=0)
    monkeypatch.setattr("edgekd_runtime.video.play.open_frames", lambda *asked: camera)

    assert demo(Interrupted(), "0", tmp_path / "out.avi")[0] == 4
    assert len(list(VideoReader(tmp_path / "out.avi"))) == 4


def test_memory_is_flat_over_2000_frames(tmp_path):
    with video_writer(tmp_path / "in.avi", 25, (48, 64)) as append:
        for _ in range(2000):
            append(np.zeros((48, 64, 3), np.uint8))
    resident = []

    def measure(done, total):
        if done in (200, 2000):
            resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)

    # what would hold on to every drawn frame grows by 1,800 x 48 x 214 x 3 bytes = 55 MB
    assert demo(Brightness(), tmp_path / "in.avi", tmp_path / "out.avi", smooth=0.8, progress=measure)[0] == 2000
    assert resident[1] - resident[0] < 8e6
