"""Images and masks that are damaged, of another kind, or no files: `data check` lists them with the others, and training names them."""

import json
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from edgekd.data import open_layout
from edgekd_runtime.errors import EdgeKDError
from tests.conftest import blocks, write_pair

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (48, 64, 3)).astype(np.uint8)


def declared(width, height):
    """A PNG that says it is so large, and holds nothing."""
    pieces = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in pieces)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def encoded(suffix, pixels):
    return cv2.imencode(suffix, pixels)[1].tobytes()


def pillow(path, mode, form, **options):
    Image.fromarray(RGB).convert(mode).save(path, format=form, **options)


def turned(path):
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x112] = 6
    image.save(path, format="JPEG", exif=exif)


def written(data):
    return lambda path: path.write_bytes(data)


SOUND_IMAGES = {
    "cmyk.jpg": lambda path: pillow(path, "CMYK", "JPEG"),
    "deep.png": written(encoded(".png", RNG.integers(0, 65536, (48, 64, 3)).astype(np.uint16))),
    "turned.jpg": turned,
    "palette.png": lambda path: pillow(path, "P", "PNG"),
    "alpha.png": lambda path: pillow(path, "LA", "PNG"),
}
STRANGE_IMAGES = {
    "float.tif": (written(encoded(".tif", RNG.random((48, 64, 3)).astype(np.float32))), "stores float32 pixels"),
    "wide.tif": (lambda path: Image.fromarray(np.arange(3072, dtype=np.int32).reshape(48, 64)).save(path), "stores int32 pixels"),
    "hdr.png": (written(encoded(".hdr", RNG.random((48, 64, 3)).astype(np.float32))), "stores float32 pixels"),
    "huge.png": (written(declared(30_000, 30_000)), "of more than 268435456 pixels"),
    "huger.png": (written(declared(2**31 - 1, 2**31 - 1)), "not a readable image"),
    "none.png": (written(declared(0, 0)), "not a readable image"),
    "empty.png": (written(b""), "not a readable image"),
    "text.jpg": (written(b"<svg/>"), "not a readable image"),
    "cut.png": (written(encoded(".png", RGB)[:900]), "cut short"),
    "pipe.png": (os.mkfifo, "a device, a pipe or a socket"),
    "folder.png": (lambda path: path.mkdir(), "is a folder"),
    "lost.png": (lambda path: path.symlink_to("nowhere"), "No such file"),
}
STRANGE_MASKS = {
    "fraction.tif": (written(encoded(".tif", RNG.random((48, 64)).astype(np.float32))), "stores fractions"),
    "nan.tif": (written(encoded(".tif", np.full((48, 64), np.nan, np.float32))), "stores fractions"),
    "infinite.tif": (written(encoded(".tif", np.full((48, 64), np.inf, np.float32))), "stores fractions"),
    "floatcolours.tif": (written(encoded(".tif", RNG.random((48, 64, 3)).astype(np.float32))), "colours as float32"),
    "hdr.png": (written(encoded(".hdr", RNG.random((48, 64, 3)).astype(np.float32))), "stores float32 pixels"),
    "deep.png": (written(encoded(".png", np.full((48, 64), 300, np.uint16))), "label value 300"),
    "deepcolours.png": (written(encoded(".png", RNG.integers(0, 65536, (48, 64, 3)).astype(np.uint16))), "stores colours"),
    "negative.tif": (written(encoded(".tif", np.full((48, 64), -1, np.int8))), "label value -1"),
    "colours.png": (written(encoded(".png", RGB)), "stores colours"),
    "huge.png": (written(declared(30_000, 30_000)), "of more than 268435456 pixels"),
    "pipe.png": (os.mkfifo, "a device, a pipe or a socket"),
    "small.png": (written(encoded(".png", np.zeros((4, 4), np.uint8))), "is 4x4 but its image"),
    "turned.png": (written(encoded(".png", np.zeros((64, 48), np.uint8))), "EXIF's orientation is not heeded"),
}


@pytest.fixture
def tree(tmp_path):
    """One sound pair, and a folder data set around it."""
    root = tmp_path / "data"
    write_pair(root / "train/images/a.png", root / "train/masks/a.png", blocks(0, 3))
    (root / "dataset.yaml").write_text("names: [a, b, c]\n")
    return root


def faults(edgekd, root, code=1):
    return json.loads(edgekd("data", "check", "folder", root, "--json", code=code).stdout)


def test_kinds_that_are_well_defined_are_read(tree, edgekd):
    for name, make in SOUND_IMAGES.items():
        make(tree / "train/images" / name)
        assert cv2.imwrite(str(tree / f"train/masks/{name[:-4]}.png"), blocks(1, 3).astype(np.uint8))
    odd = os.fsdecode(b"caf\xe9.png")
    (tree / "train/images" / odd).write_bytes((tree / "train/images/a.png").read_bytes())
    (tree / "train/masks" / odd).write_bytes(encoded(".png", np.full((48, 64, 3), 2, np.uint16)))  # 16 bits, three times
    report = faults(edgekd, tree, code=0)
    assert report["images"] == len(SOUND_IMAGES) + 2 and not report["faults"]
    edgekd("data", "check", "folder", tree)


def test_every_strange_file_is_listed_and_none_ends_the_check(tree, edgekd):
    for name, (make, _) in STRANGE_IMAGES.items():
        make(tree / "train/images" / name)
        (tree / f"train/masks/{name[:-4]}.png").write_bytes(encoded(".png", blocks(1, 3).astype(np.uint8)))
    for name, (make, _) in STRANGE_MASKS.items():
        (tree / f"train/images/mask-{name[:-4]}.png").write_bytes(encoded(".png", RGB))
        make(tree / f"train/masks/mask-{name}")
    report = faults(edgekd, tree)
    wanted = STRANGE_IMAGES | {f"mask-{name}": value for name, value in STRANGE_MASKS.items()}
    assert report["images"] == len(wanted) + 1 and report["sizes"] == {"48x64": 1}
    for name, (_, words) in wanted.items():
        assert any(f"/{name}" in fault and words in fault for fault in report["faults"]), (name, words, report["faults"])
    assert faults(edgekd, tree) == report, "also where the scan was kept"


def test_training_names_them_too(tree):
    for name, (make, words) in STRANGE_MASKS.items():
        for old in (tree / "train/masks").iterdir():
            old.unlink()
        make(tree / f"train/masks/a{name[-4:]}")
        with pytest.raises(EdgeKDError, match=words):
            open_layout("folder", "train", str(tree)).read(0)


def test_a_matlab_file_without_a_map_is_told(tmp_path):
    from edgekd.data.mat import read_mat

    savemat = pytest.importorskip("scipy.io").savemat
    for value in (np.zeros((2, 2, 2)), np.array(["a", "b"]), {"a": 1}):
        savemat(tmp_path / "a.mat", {"S": value})
        with pytest.raises(EdgeKDError, match=r"a\.mat has no label map S"):
            read_mat(str(tmp_path / "a.mat"))


def test_a_video_with_a_name_of_another_encoding_is_refused(tmp_path, edgekd):
    """OpenCV crashes on one."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / os.fsdecode(b"caf\xe9.mp4")).write_bytes(b"x")
    assert "not UTF-8; rename" in edgekd("data", "frames", tmp_path / "in", code=1).stderr
