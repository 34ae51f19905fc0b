"""`edgekd predict`: class maps as files."""

import json

import cv2
import numpy as np
import pytest

from edgekd_runtime.backends import open_session
from edgekd_runtime.files import read_image
from edgekd_runtime.image import paint
from tests.runtime.models import write_model


@pytest.fixture
def photos(tmp_path):
    """Three images of two sizes."""
    for index, size in enumerate([(48, 64), (60, 80), (48, 64)]):
        file = tmp_path / f"photos/{index}.png"
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), np.random.default_rng(index).integers(0, 256, (*size, 3), np.uint8))
    return tmp_path / "photos"


def test_masks_are_what_the_session_says(tmp_path, photos, edgekd):
    model = write_model(tmp_path / "model")
    told = json.loads(edgekd("predict", photos, "--model", model, "--out", tmp_path / "out", "--overlay", "--json").stdout)
    assert [one["image"] for one in told] == sorted(str(file) for file in photos.iterdir())
    with open_session(model) as session:
        for one in told:
            image = read_image(one["image"])
            expected = session.predict(image, image.shape[:2])
            assert np.array_equal(cv2.imread(one["mask"], cv2.IMREAD_UNCHANGED), expected)
            assert sum(one["shares"].values()) == pytest.approx(1)
            assert read_image(one["overlay"]).shape == image.shape
        edgekd("predict", f"{photos}/0*", "--model", model, "--out", tmp_path / "colours", "--form", "palette")
        image = read_image(photos / "0.png")
        assert np.array_equal(
            read_image(tmp_path / "colours/0.png"), paint(session.predict(image, image.shape[:2]), session.artifact.classes)
        )


def test_what_cannot_be_predicted(tmp_path, photos, edgekd):
    model = write_model(tmp_path / "model")
    base = ["--model", model, "--out", tmp_path / "out"]
    assert "No images at" in edgekd("predict", tmp_path / "none", *base, code=1).stderr
    (photos / "0.jpg").write_bytes((photos / "0.png").read_bytes())
    assert "would both become" in edgekd("predict", photos, *base, code=2).stderr
    assert "would replace it" in edgekd("predict", photos / "1.png", "--model", model, "--out", photos, code=2).stderr
    (photos / "bad.png").write_bytes(b"nothing")
    assert "bad.png" in edgekd("predict", photos / "bad.png", *base, code=1).stderr
