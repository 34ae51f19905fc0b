"""Video in, video out: counts, order, odd sizes, and what can go wrong."""

import cv2
import numpy as np
import pytest

from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.image import fit, legend, overlay, paint
from edgekd_runtime.video import VideoInfo, VideoReader, demo, open_frames, video_writer


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
@pytest.mark.parametrize("size", [(48, 64), (51, 65)])
def test_every_frame_in_is_a_frame_out_in_order(tmp_path, name, size):
    even = (size[0] - size[0] % 2, size[1] - size[1] % 2) if name.endswith("mp4") else size
    write(tmp_path / name, 9, even)
    seen = []
    out = tmp_path / f"out-{name}"
    frames, rate = demo(Brightness(), tmp_path / name, out, opacity=0.0, progress=lambda done, total: seen.append(done))
    assert frames == 9 and seen == list(range(1, 10)) and rate > 0
    reader = VideoReader(out)
    assert reader.info.fps == pytest.approx(10)
    brightness = [frame[30:44, 4:40].mean() for frame in reader]
    assert len(brightness) == 9 and brightness == sorted(brightness)


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


def test_a_failed_demo_leaves_no_file(tmp_path):
    write(tmp_path / "in.mp4", 3, (48, 64))

    class Failing(Brightness):
        def class_map(self, image):
            raise EdgeKDError("no")

    with pytest.raises(EdgeKDError):
        demo(Failing(), tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_ctrl_c_leaves_a_playable_file(tmp_path):
    write(tmp_path / "in.avi", 9, (48, 64))

    class Interrupted(Brightness):
        calls = 0

        def class_map(self, image):
            self.calls += 1
            if self.calls == 5:
                raise KeyboardInterrupt
            return super().class_map(image)

    with pytest.raises(KeyboardInterrupt):
        demo(Interrupted(), tmp_path / "in.avi", tmp_path / "out.avi")
    assert len(list(VideoReader(tmp_path / "out.avi"))) == 4


def test_paint_and_overlay_are_the_formula():
    classes = ClassSet(("a", "b", "c"), default_palette(3))
    class_map = np.array([[0, 1, 2, 255]], np.uint8)
    expected = np.array([[*classes.palette, (0, 0, 0)]], np.uint8)
    assert (paint(class_map, classes) == expected).all()
    image = np.full((1, 4, 3), 100, np.uint8)
    blended = np.rint(0.75 * image + 0.25 * expected)
    assert np.abs(overlay(image, class_map, classes, 0.25).astype(int) - blended).max() <= 1


def test_fit_keeps_what_fits_and_averages_what_shrinks():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert (fit(image, (8, 8)) == image).all()
    assert np.abs(fit(image, (4, 4)).astype(float) - image.reshape(4, 2, 4, 2, 3).mean((1, 3))).max() <= 0.51


def test_legend_has_its_size_and_colours():
    panel = legend(ClassSet(("a", "b"), ((10, 200, 30), (200, 10, 30))), 60)
    assert panel.shape == (60, 150, 3) and (panel == (10, 200, 30)).all(2).any() and (panel == (200, 10, 30)).all(2).any()
    assert cv2.countNonZero(panel[..., 0]) > 0
