"""Masks that are no image files: Pascal Context's JSON, and the MATLAB files of COCO-Stuff 10K and SBD."""

import sys

import numpy as np
import pytest

from edgekd.data import open_layout
from edgekd.data.rle import decode_rle
from edgekd_runtime.errors import EdgeKDError
from tests.data.trees import AUG_IMAGE, TENK, VOC_IMAGE, VOC_MASK, context_json, voc_lists, write


def test_contexts_json_is_decoded(tmp_path):
    layout = open_layout("pascal_context", "train", str(context_json(tmp_path)))
    assert len(layout) == 1
    person, wood = 36, 58
    expected = np.full((4, 6), person)
    expected[1:3, 1:3] = expected[0, 4] = expected[:, 5] = wood
    assert (layout.read(0).label == expected).all()
    assert (open_layout("pascal_context", "val", str(tmp_path)).read(0).label == 255).all()


def test_contexts_background_is_a_class_on_request(tmp_path):
    root = str(context_json(tmp_path))
    layout = open_layout("pascal_context", "train", root, background=True)
    assert len(layout.classes) == 60 and layout.classes.names[:2] == ("background", "aeroplane")
    assert (layout.read(0).label == open_layout("pascal_context", "train", root).read(0).label + 1).all()
    assert (open_layout("pascal_context", "val", root, background=True).read(0).label == 0).all()
    assert len(open_layout("pascal_context", "train", root).classes) == 59


def test_an_unknown_category_of_the_json_is_named(tmp_path):
    file = context_json(tmp_path) / "VOC2010/trainval_merged.json"
    file.write_text(file.read_text().replace("284", "285"))
    with pytest.raises(EdgeKDError, match=r"trainval_merged\.json has the category 285"):
        open_layout("pascal_context", "train", str(tmp_path)).read(0)


def test_another_json_is_named(tmp_path):
    (context_json(tmp_path) / "VOC2010/trainval_merged.json").write_text('{"images": []}')
    with pytest.raises(EdgeKDError, match=r"trainval_merged\.json is not Pascal Context's merged annotation file"):
        open_layout("pascal_context", "train", str(tmp_path))


def test_run_lengths_are_cocos():
    # pycocotools 2.0.11: mask.encode of this mask gives 52203ON3
    mask = np.array([[0, 0, 0, 0, 1, 1], [0, 1, 1, 0, 0, 1], [0, 1, 1, 0, 0, 1], [0, 0, 0, 0, 0, 1]], bool)
    assert (decode_rle("52203ON3", 4, 6) == mask).all()
    with pytest.raises(ValueError, match="reshape"):
        decode_rle("52203ON", 4, 6)


def ten_k(root):
    write(root / f"images/{TENK}.jpg", np.zeros((4, 5, 3)))
    (root / "annotations").mkdir()
    (root / f"annotations/{TENK}.mat").touch()
    (root / "imageLists").mkdir()
    (root / "imageLists/train.txt").write_text(f"{TENK}\n")
    return root


def sbd(root):
    for name, text in voc_lists("Segmentation/train", "Segmentation/val").items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text if "train" in name else "2008_000003\n")
    for image in (VOC_IMAGE, AUG_IMAGE, AUG_IMAGE.replace("02", "03")):
        write(root / image, np.zeros((4, 5, 3)))
    write(root / VOC_MASK, np.full((4, 5), 3))
    (root / "VOCaug/dataset/cls").mkdir(parents=True)
    (root / "VOCaug/dataset/train.txt").write_text("2008_000002\n")
    (root / "VOCaug/dataset/val.txt").write_text("2008_000003\n")
    for name in ("2008_000002", "2008_000003"):
        (root / f"VOCaug/dataset/cls/{name}.mat").touch()
    return root


def test_matlab_masks_are_read(tmp_path):
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(ten_k(tmp_path) / f"annotations/{TENK}.mat", {"S": np.array([[0, 1, 13, 92, 182]] * 4, np.uint8), "names": np.array(["a"])})
    layout = open_layout("coco_stuff", "train", str(tmp_path))
    assert layout.read(0).label[0].tolist() == [255, 0, 11, 80, 170]
    savemat(tmp_path / f"annotations/{TENK}.mat", {"other": np.zeros(3)})
    with pytest.raises(EdgeKDError, match=r"077\.mat has no label map S"):
        layout.read(0)
    (tmp_path / f"annotations/{TENK}.mat").write_bytes(b"cut short")
    with pytest.raises(EdgeKDError, match=r"077\.mat is not a readable MATLAB file"):
        layout.read(0)


def test_sbd_augments_vocs_training_set(tmp_path):
    layout = open_layout("voc", "trainaug", str(sbd(tmp_path)))
    assert [layout.name(index)[-15:] for index in range(len(layout))] == ["2007_000032.jpg", "2008_000002.jpg"]
    assert (layout.read(0).label == 3).all()
    savemat = pytest.importorskip("scipy.io").savemat
    mask = np.array([[0, 1, 15, 20, 255]] * 4, np.uint8)
    savemat(tmp_path / "VOCaug/dataset/cls/2008_000002.mat", {"GTcls": {"Boundaries": np.zeros(3), "Segmentation": mask}})
    assert (layout.read(1).label == mask).all()


def test_matlab_masks_without_scipy_say_what_to_install(tmp_path, monkeypatch, edgekd):
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    result = edgekd("data", "check", "coco_stuff", ten_k(tmp_path), code=3)
    assert "pip install scipy" in result.output
