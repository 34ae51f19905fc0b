"""Atomic writes, truncated files, sizes."""

import cv2
import numpy as np
import pytest

from edgekd_runtime.atomic import atomic
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.files import read_image, read_json, sha256, write_image, write_json
from edgekd_runtime.sizes import parse_size


def test_a_failed_write_leaves_what_was_there(tmp_path):
    file = tmp_path / "a.json"
    write_json(file, {"old": 1})
    with pytest.raises(ZeroDivisionError), atomic(file) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert read_json(file) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeKDError, match=r"Can't write .*file/a\.json"):
        write_json(tmp_path / "file" / "a.json", {})


def test_images_survive_the_round_trip(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    write_image(tmp_path / "a.png", image)
    assert (read_image(tmp_path / "a.png") == image).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_truncated_image_is_refused(tmp_path, suffix):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    data = cv2.imencode(suffix, image)[1].tobytes()
    for keep in (len(data) - 200, 20, 0):
        (tmp_path / f"a{suffix}").write_bytes(data[:keep])
        with pytest.raises(EdgeKDError, match=f"a{suffix}"):
            read_image(tmp_path / f"a{suffix}")


def test_sha256_is_that_of_hashlib(tmp_path):
    import hashlib

    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_sizes():
    assert parse_size("360x480") == (360, 480)
    for wrong in ("0x7", "7", "ax7", "-1x7", "3x4x5", "3.0x4", ""):
        with pytest.raises(UsageError, match="HEIGHTxWIDTH"):
            parse_size(wrong)
