"""Layouts on small trees in the distributed form, and with one deliberate fault each."""

import cv2
import numpy as np
import pytest
import yaml

from edgekd.data import open_layout
from edgekd_runtime.errors import EdgeKDError, UsageError
from tests.conftest import blocks, write_pair


def folder(root, *, split_first=True, **description):
    for split in ("train", "val"):
        for index in range(3):
            label = blocks(index, 4)
            name = f"{split}/{{}}/{index}.png" if split_first else f"{{}}/{split}/{index}.png"
            write_pair(root / name.format("images"), root / name.format("masks"), label, index)
    (root / "dataset.yaml").write_text(yaml.safe_dump({"names": ["a", "b", "c", "d"]} | description))
    return root


def test_camvid_maps_void_to_ignore(camvid):
    layout = open_layout("camvid", "train", str(camvid))
    assert len(layout) == 8 and len(layout.classes) == 11
    image, label = layout.read(3)
    assert (label[:2] == 255).all() and (label[2:] == blocks(3, 11)[2:]).all()
    assert (image == cv2.imread(layout.name(3))[..., ::-1]).all()


@pytest.mark.parametrize("split_first", [True, False])
def test_folder_in_both_forms(tmp_path, split_first):
    layout = open_layout("folder", "val", str(folder(tmp_path, split_first=split_first)))
    assert len(layout) == 3 and layout.classes.names == ("a", "b", "c", "d")
    assert (layout.read(1).label == blocks(1, 4)).all()


def test_folder_maps_values_and_ignores_some(tmp_path):
    root = folder(tmp_path, names=["x", "y"], mapping={0: 1, 1: 0, 2: 0}, ignore=[3])
    label = open_layout("folder", "train", str(root)).read(0).label
    expected = np.array([1, 0, 0, 255])[blocks(0, 4)]
    assert (label == expected).all()


def test_colour_masks_are_read_through_the_palette(tmp_path):
    palette = [[10, 20, 30], [40, 50, 60], [70, 80, 90], [1, 2, 3]]
    root = folder(tmp_path, palette=palette)
    file = root / "train/masks/0.png"
    coloured = np.array(palette, np.uint8)[blocks(0, 4)]
    cv2.imwrite(str(file), coloured[..., ::-1])
    assert (open_layout("folder", "train", str(root)).read(0).label == blocks(0, 4)).all()
    coloured[0, 0] = (9, 9, 8)
    cv2.imwrite(str(file), coloured[..., ::-1])
    with pytest.raises(EdgeKDError, match=r"0\.png has the colour \(9, 9, 8\)"):
        open_layout("folder", "train", str(root)).read(0)


@pytest.mark.parametrize("all_black_first", [False, True])
def test_grey_rgb_masks_are_read_as_values_also_with_a_palette(tmp_path, all_black_first):
    """Black alone could be either; the next mask tells."""
    root = folder(tmp_path, palette=[[0, 0, 0], [40, 50, 60], [70, 80, 90], [1, 2, 3]])
    labels = [blocks(index, 4) * (index > 0 or not all_black_first) for index in range(3)]
    for index, label in enumerate(labels):
        cv2.imwrite(str(root / f"train/masks/{index}.png"), np.repeat(label.astype(np.uint8)[..., None], 3, 2))
    layout = open_layout("folder", "train", str(root))
    assert all((layout.read(index).label == label).all() for index, label in enumerate(labels))
    (root / "dataset.yaml").write_text((root / "dataset.yaml").read_text() + "stores: colours\n")
    with pytest.raises(EdgeKDError, match="in no class's palette"):
        open_layout("folder", "train", str(root)).read(1)


def test_file_names_are_paired_by_pattern(tmp_path):
    root = folder(tmp_path, images="{stem}_leftImg.png", masks="{stem}_instance_color_RGB.png")
    for index in range(3):
        (root / f"train/images/{index}.png").rename(root / f"train/images/{index}_leftImg.png")
        (root / f"train/masks/{index}.png").rename(root / f"train/masks/{index}_instance_color_RGB.png")
    (root / "train/masks/0_other.png").touch()
    layout = open_layout("folder", "train", str(root))
    assert len(layout) == 3 and (layout.read(2).label == blocks(2, 4)).all()
    (root / "train/masks/2_instance_color_RGB.png").unlink()
    with pytest.raises(EdgeKDError, match=r"2_leftImg\.png has no mask .*/2_instance_color_RGB\.png"):
        open_layout("folder", "train", str(root))
    with pytest.raises(EdgeKDError, match=r"No images named \{stem\}_leftImg\.png"):
        open_layout("folder", "val", str(root))
    with pytest.raises(UsageError, match="a file name with"):
        open_layout("folder", "train", str(folder(tmp_path / "b", masks="x.png")))


def test_palette_pngs_are_read_as_indices(tmp_path):
    from PIL import Image

    root = folder(tmp_path)
    picture = Image.fromarray(blocks(0, 4).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])
    picture.save(root / "train/masks/0.png")
    assert (open_layout("folder", "train", str(root)).read(0).label == blocks(0, 4)).all()


def test_colours_without_a_palette_are_refused(tmp_path):
    root = folder(tmp_path)
    cv2.imwrite(str(root / "train/masks/0.png"), np.full((48, 64, 3), (10, 20, 30), np.uint8))
    with pytest.raises(EdgeKDError, match=r"0\.png stores colours"):
        open_layout("folder", "train", str(root)).read(0)


def damage(camvid, fault):
    mask = camvid / "trainannot/003.png"
    image = camvid / "train/003.png"
    if fault == "missing mask":
        mask.unlink()
    elif fault == "size":
        cv2.imwrite(str(mask), np.zeros((48, 60), np.uint8))
    elif fault == "value":
        cv2.imwrite(str(mask), np.full((48, 64), 200, np.uint8))
    elif fault == "sixteen bits":
        cv2.imwrite(str(mask), np.full((48, 64), 1000, np.uint16))
    elif fault == "truncated":
        image.write_bytes(image.read_bytes()[:-100])


FAULTS = {
    "missing mask": r"train/003\.png has no mask",
    "size": r"trainannot/003\.png is 48x60 but its image .*train/003\.png is 48x64",
    "value": r"trainannot/003\.png has the label value 200",
    "sixteen bits": r"trainannot/003\.png has the label value 1000",
    "truncated": r"train/003\.png is cut short",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_file(camvid, fault, edgekd):
    damage(camvid, fault)
    with pytest.raises(EdgeKDError, match=FAULTS[fault]):
        open_layout("camvid", "train", str(camvid)).read(3)
    result = edgekd("data", "check", "camvid", camvid, code=1)
    assert "003.png" in result.output


def test_check_passes_a_sound_set_and_counts_it(camvid, edgekd):
    import json

    for index in range(11):
        write_pair(camvid / f"train/x{index}.png", camvid / f"trainannot/x{index}.png", np.full((48, 64), index), index)
    document = json.loads(edgekd("data", "check", "camvid", camvid, "--json").stdout)
    assert document["images"] == 19 and document["sizes"] == {"48x64": 19} and document["faults"] == []
    assert sum(document["pixels"].values()) == pytest.approx(1)
    assert document["ignored"] == pytest.approx(8 * 2 / (19 * 48))


def test_check_finds_an_empty_class(tmp_path, edgekd):
    result = edgekd("data", "check", "folder", folder(tmp_path, names=["a", "b", "c", "d", "empty"]), code=1)
    assert "empty" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("camvid", "train", "/nowhere"), "No folder /nowhere/train"),
        (("camvid", "train"), "needs its folder"),
        (("camvid", "trian", "/nowhere"), "no split 'trian'"),
        (("camvit", "train"), "did you mean 'camvid'"),
        (("folder", "train", "/nowhere"), "No /nowhere/dataset.yaml"),
    ],
)
def test_what_is_missing_is_said(arguments, message):
    with pytest.raises(EdgeKDError, match=message):
        open_layout(*arguments)


def test_unknown_keys_of_a_dataset_file_name_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"dataset.yaml: unknown key 'pallete'; did you mean 'palette'"):
        open_layout("folder", "train", str(folder(tmp_path, pallete=[])))


def test_a_contact_sheet_is_written(camvid, tmp_path, edgekd):
    edgekd("data", "preview", "camvid", camvid, "--images", 6, "--out", tmp_path / "p.png")
    assert cv2.imread(str(tmp_path / "p.png")).shape[:2] == (2 * 2 * 192, 4 * 256 + 150)
