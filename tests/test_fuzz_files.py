"""Generated bad files: descriptions of data, images, masks, calibration tables, checkpoints, graphs and logs; `pytest -m fuzz`."""

import json
import random
import struct
from contextlib import suppress

import cv2
import numpy as np
import pytest
import yaml

from edgekd_runtime.errors import EdgeKDError
from tests.conftest import TINY, blocks, write_pair
from tests.fuzzing import broken, ends_well, torn
from tests.runtime.models import write_model

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(30)]
RGB = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
ALIASES = ["&a [*a]", "&a {b: *a}", "[" * 50 + "]" * 50, "!!python/name:os.system", "!!timestamp 9999999999", "0x" + "f" * 400, "1e999999"]
"""What YAML has and JSON has not."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_pair(root / "train/images/a.png", root / "train/masks/a.png", blocks(0, 3, (16, 16)))
    return root


DESCRIPTION = {
    "names": ["road", "car", "sky"],
    "palette": [[0, 0, 0], [1, 2, 3], [255, 255, 255]],
    "mapping": {"0": 0, "1": 1, "2": 2},
    "ignore": [255, 7],
    "stores": "values",
    "images": "{stem}.png",
    "masks": "{stem}.png",
}


@pytest.mark.parametrize("seed", range(80))
def test_descriptions_of_data(tree, tmp_path, seed):
    chance = random.Random(seed)
    text = yaml.safe_dump(broken(DESCRIPTION, chance)).replace("'0':", "0:").replace("'1':", "1:").replace("'2':", "2:")
    if seed % 4 == 0:
        text = text.replace("road", chance.choice(ALIASES))
    data = text.encode(errors="replace")
    (tree / "dataset.yaml").write_bytes(torn(data, chance) if seed % 3 == 0 else data)
    ends_well(["data", "check", "folder", tree, "--json"], tmp_path)


def encoded(suffix, pixels):
    return cv2.imencode(suffix, pixels)[1].tobytes()


def image_bytes():
    floats = RGB.astype(np.float32)
    files = {
        f"{suffix} {kind}": encoded(suffix, pixels)
        for suffix in (".png", ".jpg", ".bmp", ".webp", ".tif")
        for kind, pixels in (("colours", RGB), ("values", RGB[..., 0]))
    }
    deep = {f"{suffix} 16": encoded(suffix, RGB.astype(np.uint16) * 257) for suffix in (".png", ".tif")}
    return files | deep | {".tif float": encoded(".tif", floats), ".hdr float": encoded(".hdr", floats)}


IMAGES = image_bytes()


@pytest.mark.parametrize("seed", range(120))
def test_images_and_masks(tmp_path, seed, capfd):
    from edgekd.data.files import read_mask
    from edgekd_runtime.files import read_image

    chance = random.Random(seed)
    name = sorted(IMAGES)[seed % len(IMAGES)]
    data = torn(IMAGES[name], chance)
    if seed % 2:  # sizes lie in the first bytes
        place = chance.randrange(8, 40)
        data = data[:place] + struct.pack(">I", chance.choice([0, 1 << 15, 1 << 31, (1 << 32) - 1])) + data[place + 4 :]
    file = tmp_path / f"a{chance.choice(['.png', name[:4]])}"
    file.write_bytes(data)
    for read, kinds in ((read_image, (np.uint8,)), (read_mask, (np.uint8, np.uint16, np.int8, np.int16, np.int32, np.float32, np.float64))):
        try:
            pixels = read(str(file))
        except EdgeKDError as error:
            assert str(file) in str(error)
        else:
            assert pixels.dtype in kinds and pixels.size <= 1 << 28


@pytest.mark.parametrize("seed", range(60))
def test_calibration_tables(tmp_path, seed):
    chance = random.Random(seed)
    table = {
        "schema_version": 3,
        "model_sha256": "a" * 64,
        "method": "minmax",
        "seed": 0,
        "images": {"b" * 64: "a.png"},
        "ranges": {"x": [-1.0, 1.0], "y": [0.0, 6.5]},
    }
    data = json.dumps(broken(table, chance)).encode()
    (tmp_path / "t.json").write_bytes(torn(data, chance) if seed % 3 == 0 else data)
    ends_well(["calib", "show", tmp_path / "t.json", *["--json"] * (seed % 2)], tmp_path)


@pytest.mark.parametrize("seed", range(60))
def test_checkpoints(tmp_path, seed):
    import torch
    from safetensors.torch import save_file

    from edgekd.models import load_network

    chance = random.Random(seed)
    about = {
        "model": json.loads(json.dumps(TINY["student"])),
        "classes": {"names": ["a", "b"], "palette": [[0, 0, 0], [1, 1, 1]]},
        "in_channels": 3,
        "miou": 0.5,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.2, 0.2, 0.2],
    }
    file = tmp_path / "best.safetensors"
    save_file({"w": torch.zeros(3)}, file, {"edgekd": json.dumps(broken(about, chance))})
    if seed % 3 == 0:
        file.write_bytes(torn(file.read_bytes(), chance))
    with pytest.raises(EdgeKDError, match=r"best\.safetensors|Unknown|HEAD-BACKBONE|\w+"):
        load_network(file)


@pytest.fixture(scope="module")
def onnx_bytes(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("onnx")).read_bytes()


@pytest.mark.parametrize("seed", range(60))
def test_graphs(onnx_bytes, tmp_path, seed):
    chance = random.Random(seed)
    (tmp_path / "a.onnx").write_bytes(torn(onnx_bytes, chance))
    ends_well(["inspect", tmp_path / "a.onnx", *["--json"] * (seed % 2)], tmp_path)


@pytest.mark.parametrize("seed", range(30))
def test_logs(tmp_path, seed):
    from edgekd.runs import Run

    chance = random.Random(seed)
    lines = [json.dumps(broken({"step": step, "loss": 1.0, "parts": {"task": 0.5}}, chance)) for step in range(5)]
    data = "\n".join(lines).encode()
    (tmp_path / "metrics.jsonl").write_bytes(torn(data, chance) if seed % 2 else data)
    for record in Run(tmp_path).history():
        assert isinstance(record["step"], int)
    Run(tmp_path).rewind(2)
    with suppress(EdgeKDError):
        assert all(record["step"] <= 2 for record in Run(tmp_path).history())
