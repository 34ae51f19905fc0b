"""Small trees in exactly the form that each public data set is distributed in, file names included."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np


@dataclass(frozen=True)
class Tree:
    """A tree and what its one mask must become.

    `known` are stored values (or colours) and their classes, from the data set's own documentation, never from our tables;
    `unknown` is a value that the data set does not have.
    """

    layout: str
    image: str
    mask: str
    known: dict
    unknown: object
    split: str = "train"
    count: int = 1
    texts: dict[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def write(self, root: Path) -> Path:
        for name in self.others:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, np.zeros((4, 6)))
        for name, text in self.texts.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        write(root / self.image, np.zeros((4, self.width, 3)))
        write(root / self.mask, self.stored(list(self.known)))
        return root

    @property
    def width(self) -> int:
        return max(2, len(self.known))

    def stored(self, values: list) -> np.ndarray:
        """Four rows of the values, one a column."""
        return np.array([values] * 4)

    def fault(self, root: Path, kind: str) -> None:
        if kind == "unknown value":
            write(root / self.mask, self.stored([self.unknown, *list(self.known)[1:]]))
        elif kind == "other size":
            write(root / self.mask, self.stored(list(self.known))[:3])


def write(path: Path, picture: np.ndarray) -> None:
    """RGB, or values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = picture.astype(np.uint8)
    assert cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 else picture)


def voc_lists(*names: str, image: str = "2007_000032") -> dict[str, str]:
    return {f"VOC2012/ImageSets/{name}.txt": f"{image}\n" for name in names}


# cityscapesScripts, helpers/labels.py: id → trainId
CITYSCAPES = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16}
CITYSCAPES |= {32: 17, 33: 18, 0: 255, 3: 255, 6: 255, 9: 255, 10: 255, 14: 255, 18: 255, 29: 255, 30: 255, 255: 255}
# COCO-Stuff's labels.txt counts from 1, its PNG maps from 0; classes as in DeepLab's and MMSegmentation's 171
COCO = {0: 0, 10: 10, 12: 11, 24: 23, 26: 24, 89: 79, 91: 80, 181: 170, 255: 255}
VOC = {0: 0, 1: 1, 15: 15, 20: 20, 255: 255}
CONTEXT = {0: 255, 1: 0, 2: 1, 37: 36, 59: 58}
CITY = "train/aachen/aachen_000000_000019"
VOC_MASK = "VOC2012/SegmentationClass/2007_000032.png"
VOC_IMAGE = "VOC2012/JPEGImages/2007_000032.jpg"
AUG_IMAGE, AUG_MASK = "VOC2012/JPEGImages/2008_000002.jpg", "VOC2012/SegmentationClassAug/2008_000002.png"
TENK = "COCO_train2014_000000000077"

TREES = {
    "cityscapes": Tree(
        "cityscapes",
        f"leftImg8bit/{CITY}_leftImg8bit.png",
        f"gtFine/{CITY}_gtFine_labelIds.png",
        CITYSCAPES,
        34,
        others=(f"gtFine/{CITY}_gtFine_color.png", f"gtFine/{CITY}_gtFine_instanceIds.png"),
        texts={f"gtFine/{CITY}_gtFine_polygons.json": "{}"},
    ),
    "cityscapes-trainids": Tree(
        "cityscapes",
        f"leftImg8bit/{CITY}_leftImg8bit.png",
        f"gtFine/{CITY}_gtFine_labelTrainIds.png",
        {0: 0, 18: 18, 255: 255},
        19,
    ),
    "ade20k": Tree(
        "ade20k",
        "images/training/ADE_train_00000001.jpg",
        "annotations/training/ADE_train_00000001.png",
        {0: 255, 1: 0, 13: 12, 150: 149},
        151,
    ),
    "voc": Tree("voc", VOC_IMAGE, VOC_MASK, VOC, 21, texts=voc_lists("Segmentation/train")),
    "voc-mmseg": Tree(
        "voc",
        AUG_IMAGE,
        AUG_MASK,
        VOC,
        21,
        split="trainaug",
        texts=voc_lists("Segmentation/trainaug", image="2008_000002"),
        others=(VOC_MASK,),
    ),
    "voc-drsleep": Tree(
        "voc",
        AUG_IMAGE,
        AUG_MASK,
        VOC,
        21,
        split="trainaug",
        texts={"VOC2012/ImageSets/SegmentationAug/train_aug.txt": "/JPEGImages/2008_000002.jpg /SegmentationClassAug/2008_000002.png\n"},
        others=(VOC_MASK,),
    ),
    "coco-164k": Tree(
        "coco_stuff",
        "images/train2017/000000000009.jpg",
        "annotations/train2017/000000000009.png",
        COCO,
        11,
        others=("annotations/train2017/000000000009_labelTrainIds.png",),
    ),
    "coco-stuffthingmaps": Tree("coco_stuff", "train2017/000000000009.jpg", "stuffthingmaps/train2017/000000000009.png", COCO, 90),
    "coco-mmseg": Tree(
        "coco_stuff",
        "images/train2017/000000000009.jpg",
        "annotations/train2017/000000000009_labelTrainIds.png",
        {0: 0, 170: 170, 255: 255},
        171,
    ),
    "coco-10k-mmseg": Tree(
        "coco_stuff",
        f"images/train2014/{TENK}.jpg",
        f"annotations/train2014/{TENK}_labelTrainIds.png",
        {0: 255, 1: 0, 171: 170},
        172,
    ),
    "pascal_context": Tree(
        "pascal_context",
        "VOC2010/JPEGImages/2008_000002.jpg",
        "VOC2010/SegmentationClassContext/2008_000002.png",
        CONTEXT,
        60,
        texts={"VOC2010/ImageSets/SegmentationContext/train.txt": "2008_000002\n"},
    ),
    # the colours that MathWorks lists for SegNet's 11 classes
    "camvid32": Tree(
        "camvid32",
        "701_StillsRaw_full/0001TP_006690.png",
        "LabeledApproved_full/0001TP_006690_L.png",
        {(128, 128, 128): 0, (0, 128, 64): 1, (0, 0, 64): 2, (128, 0, 192): 3, (0, 0, 192): 4, (192, 192, 0): 5, (0, 64, 64): 6}
        | {(64, 64, 128): 7, (128, 64, 64): 8, (192, 128, 64): 9, (192, 0, 192): 10, (0, 0, 0): 255},
        (255, 255, 255),
    ),
}


def context_json(root: Path) -> Path:
    """Pascal Context with `trainval_merged.json`: two segments on the first image, the second over the first."""
    for name in ("2008_000002", "2008_000003"):
        write(root / f"VOC2010/JPEGImages/{name}.jpg", np.zeros((4, 6, 3)))
    images = [
        {"file_name": f"{name}.jpg", "image_id": number, "phase": phase, "height": 4, "width": 6}
        for number, (name, phase) in enumerate((("2008_000002", "train"), ("2008_000003", "val")))
    ]
    segments = [
        {"image_id": 0, "category_id": category, "segmentation": {"size": [4, 6], "counts": counts}}
        for category, counts in ((284, "0h0"), (458, "52203ON3"))
    ]
    (root / "VOC2010/trainval_merged.json").write_text(json.dumps({"images": images, "annos_segmentation": segments}))
    return root
