"""Unlabelled images: videos frame by frame, what is wrong with a broken one, and the same batches whatever makes them."""

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from edgekd.config import DataRecipe, Recipe, TrainRecipe
from edgekd.data import open_training
from edgekd.data.frames import open_frames, sources
from edgekd.data.loader import checked, train_loader
from edgekd.data.streetscape import drive
from edgekd.data.video import Taken, extracted, frames
from edgekd.loading import validate
from edgekd_runtime.errors import EdgeKDError, UsageError
from tests.conftest import TINY, write_pair
from tests.data.test_loader import Marked


def shade(frame: int) -> int:
    return 5 + 8 * frame


def write_video(file: Path, count: int = 30, size: tuple[int, int] = (48, 64), code: str = "mp4v") -> Path:
    """Frame k is grey of `shade(k)`, so that a frame tells its number."""
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*code), 10, size[::-1])
    for frame in range(count):
        writer.write(np.full((*size, 3), shade(frame), np.uint8))
    writer.release()
    return file


def write_drive(file: Path) -> Path:
    """A drawn one of 25 frames."""
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for image, _ in drive(25, size=(48, 64)):
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()
    return file


def number_of(image) -> int:
    return round((float(np.asarray(image).mean()) - 5) / 8)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """One of each container."""
    folder = tmp_path_factory.mktemp("videos")
    return [write_video(folder / f"a.{suffix}", code=code) for suffix, code in (("mp4", "mp4v"), ("mkv", "mp4v"), ("avi", "MJPG"))]


def recipe(*paths, **options) -> DataRecipe:
    return DataRecipe(layout="x", size=(48, 64), unlabelled=[str(path) for path in paths], **options)


def test_every_frame_is_the_one_of_its_number(videos):
    for video in videos:
        opened = open_frames(recipe(video))
        assert [number_of(opened.read(index)) for index in range(len(opened))] == list(range(30))
        assert [number_of(image) for image in frames(video, Taken(step=7))] == [0, 7, 14, 21, 28]
        assert [number_of(image) for image in frames(video, Taken(rate=2.5))] == [0, 4, 8, 12, 16, 20, 24, 28]


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="writes the video with ffmpeg")
def test_variable_rates_and_odd_sizes(tmp_path, videos):
    """A rate goes by the time stamps: frame k ≥ 10 comes at 1 + (k − 10)·0.5 s instead of k·0.1 s."""
    file = tmp_path / "variable.mkv"
    odd = tmp_path / "odd.mkv"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=77x51:d=0.2", "-c:v", "ffv1", odd], check=True)
    assert {image.shape for image in frames(odd, Taken())} == {(51, 77, 3)}
    slower = "setpts='if(lt(N,10),N*0.1,1+(N-10)*0.5)/TB'"
    command = ["ffmpeg", "-v", "error", "-i", videos[0], "-vf", slower, "-fps_mode", "vfr", "-c:v", "mpeg4", "-q:v", "2", file]
    subprocess.run(command, check=True)
    assert [number_of(image) for image in frames(file, Taken())] == list(range(30))
    assert [number_of(image) for image in frames(file, Taken(rate=1))] == [0, 10, *range(12, 30, 2)]


def test_extracted_once_and_again_when_anything_changes(tmp_path, cache):
    video = write_video(tmp_path / "v.avi", 8, code="MJPG")
    files = extracted(video, Taken())
    written = [file.stat().st_mtime_ns for file in files]
    assert [file.stat().st_mtime_ns for file in extracted(video, Taken())] == written
    files[3].write_bytes(b"")  # an index that does not fit is no extraction
    assert [number_of(cv2.imread(str(file))) for file in extracted(video, Taken())] == list(range(8))
    write_video(video, 5, code="MJPG")
    assert len(extracted(video, Taken())) == 5
    assert len(extracted(video, Taken(step=2))) == 3
    assert len(list((cache / "frames").glob("[!.]*"))) == 3


def test_frames_are_no_larger_than_augmentation_makes_them(tmp_path):
    video = write_video(tmp_path / "large.avi", 2, (480, 960), "MJPG")
    assert open_frames(recipe(video, scale=(0.5, 2.0))).read(0).shape == (96, 192, 3)


BROKEN = {
    "empty": (lambda whole: b"", "can't be opened as a video"),
    "text": (lambda whole: b"not a video" * 99, "can't be opened as a video"),
    "cut short": (lambda whole: whole[: len(whole) // 2], "ends after [0-9.]+ of 3.0 seconds"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_video_is_one_sentence_and_leaves_nothing(kind, tmp_path, videos, cache, edgekd):
    spoil, sentence = BROKEN[kind]
    file = tmp_path / "broken.mkv"
    file.write_bytes(spoil(videos[1].read_bytes()))
    with pytest.raises(EdgeKDError, match=sentence) as error:
        open_frames(recipe(videos[0], file))
    assert str(file) in str(error.value)
    assert not [path for path in (cache / "frames").iterdir() if path.is_dir() and path.name.startswith(".")]
    report = json.loads(edgekd("data", "frames", file, videos[0], "--json", code=1).stdout.split("Error:")[0])
    assert report["frames"][str(videos[0])] == 30 and len(report["faults"]) == 1 and str(file) in report["faults"][0]


def test_check_reads_all_that_a_recipe_names(tmp_path, camvid, videos, edgekd):
    for index in range(11):  # so that no class is empty
        for split in ("train", "val"):
            write_pair(camvid / f"{split}/x{index}.png", camvid / f"{split}annot/x{index}.png", np.full((48, 64), index), index)
    broken, file = tmp_path / "broken.mkv", tmp_path / "recipe.yaml"
    data = {"layout": "camvid", "root": str(camvid), "size": [48, 64], "unlabelled": [str(videos[0]), str(broken)]}
    file.write_text(yaml.safe_dump({"name": "r", "data": data, "student": {"name": "lraspp-mobilenetv3_small_050"}}))
    broken.write_bytes(videos[1].read_bytes())
    found = json.loads(edgekd("data", "check", "--recipe", file, "--json").stdout)
    assert [found[split]["images"] for split in ("train", "val")] == [19, 15]
    assert found["unlabelled"]["frames"] == {str(videos[0]): 30, str(broken): 30}
    broken.write_bytes(videos[1].read_bytes()[:-2000])
    (camvid / "val/x3.png").write_bytes(b"")
    said = edgekd("data", "check", "--recipe", file, code=1).output
    assert "x3.png" in said and "broken.mkv" in said and f"2 faults in what {file} reads" in " ".join(said.split())
    assert "1 fault" not in edgekd("data", "check", "--recipe", file, "--split", "train", code=1).output.split("unlabelled")[0]
    for wrong in ([], ["camvid", "--recipe", file], ["camvid", camvid, "--data-root", camvid]):
        edgekd("data", "check", *wrong, code=2)


def test_one_frame_is_an_image(tmp_path):
    assert len(open_frames(recipe(write_video(tmp_path / "one.mp4", 1)))) == 1
    with pytest.raises(EdgeKDError, match="which is too few"):
        open_frames(recipe(tmp_path / "one.mp4", held_out=0.5), held_out=True)


def test_folders_and_patterns_give_images_and_videos(tmp_path, edgekd):
    for name in ("b.png", "a.jpg", "notes.txt"):
        cv2.imwrite(str(tmp_path / name), np.zeros((48, 64, 3), np.uint8)) if name != "notes.txt" else (tmp_path / name).write_text("")
    write_video(tmp_path / "c.mp4", 10)
    assert [len(source.images) for source in sources([str(tmp_path)])] == [2, 0]
    assert len(open_frames(recipe(tmp_path))) == 12
    assert len(open_frames(recipe(tmp_path / "*.png"))) == 1
    assert (
        len(open_frames(recipe(tmp_path, held_out=0.2))) == 1 + 8 and len(open_frames(recipe(tmp_path, held_out=0.2), held_out=True)) == 3
    )
    with pytest.raises(EdgeKDError, match=r"No images and no video at .*nothing"):
        open_frames(recipe(tmp_path / "nothing"))
    assert "12 unlabelled images" in edgekd("data", "frames", tmp_path).output


@pytest.fixture(scope="module")
def unlabelled(videos):
    return open_frames(recipe(videos[0]))


def batches(unlabelled, share, world=1, rank=0, start=0, workers=0, **train):
    data = DataRecipe(layout="x", size=(48, 64), crop=(40, 40), workers=workers, unlabelled=["v"], unlabelled_share=share)
    train = TrainRecipe(**{"steps": 6, "batch_size": 4, **train})
    return [checked(batch) for batch in train_loader(Marked(), data, train, frames=unlabelled, start=start, rank=rank, world=world)]


def test_workers_processes_parts_and_restarts_change_nothing(unlabelled):
    whole = batches(unlabelled, 0.5)
    for _, labels, labelled in whole:
        assert len(labelled) == 2 and all((labels[index] == 255).all() == (index not in labelled) for index in range(4))
    others = {
        "workers": batches(unlabelled, 0.5, workers=2),
        "restart": [*whole[:3], *batches(unlabelled, 0.5, start=3)],
        "processes": [
            [torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]]), a[2] + [2 + index for index in b[2]]]
            for a, b in zip(*(batches(unlabelled, 0.5, world=2, rank=rank) for rank in (0, 1)), strict=True)
        ],
        "parts": [
            [torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]]), a[2] + [2 + index for index in b[2]]]
            for a, b in zip(*(batches(unlabelled, 0.5, accumulate=2)[part::2] for part in (0, 1)), strict=True)
        ],
    }
    for name, other in others.items():
        for one, two in zip(whole, other, strict=True):
            assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1]) and one[2] == two[2], name


class Counted:
    """Frames that note what is read."""

    def __init__(self, length):
        self.length, self.seen = length, []

    def __len__(self):
        return self.length

    def read(self, index):
        self.seen.append(index)
        return np.zeros((48, 64, 3), np.uint8)


@pytest.mark.parametrize("share", [0.25, 0.3, 0.875, 1.0])
def test_the_share_is_exact_and_every_frame_comes_once_an_epoch(share):
    counted = Counted(10)
    found = batches(counted, share, steps=10, batch_size=8)
    assert all(abs(8 * share - (8 - len(labelled))) < 1 for _, _, labelled in found)
    assert len(counted.seen) == round(80 * share)
    for start in range(0, len(counted.seen) - 9, 10):
        assert sorted(counted.seen[start : start + 10]) == list(range(10))


def test_labels_of_a_part_of_the_split_are_spread_over_it():
    data = {**TINY["data"], "labelled": 4}
    part = open_training(validate(Recipe, {**TINY, "data": data}, "tiny"))
    assert [part.name(index) for index in range(len(part))] == [f"train/{index:05d}" for index in (0, 5, 10, 15)]
    with pytest.raises(UsageError, match="has 16 samples; lower it"):
        open_training(validate(Recipe, {**TINY, "data": {**data, "labelled": 17}}, "tiny"))
