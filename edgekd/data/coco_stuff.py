"""COCO-Stuff (Caesar et al., CVPR 2018): 80 things and 91 stuff classes, on all of COCO 2017 (164K) or the first 10,000 images (10K)."""

from edgekd.data.files import label_table
from edgekd.data.forms import Distributed, MaskFiles
from edgekd.data.labels import class_set, read_labels
from edgekd_runtime.classes import IGNORE

_LABELS = read_labels("coco_stuff")
_COUNT = len(_LABELS)
# 11 of COCO's 91 things are never labelled, so the stored values have gaps
_RAW = label_table({label.value: index for index, label in enumerate(_LABELS)}, ignore=[IGNORE])
_RAW_10K = label_table({label.value + 1: index for index, label in enumerate(_LABELS)}, ignore=[0])
_TRAIN_IDS = label_table({index: index for index in range(_COUNT)}, ignore=[IGNORE])
_TRAIN_IDS_10K = label_table({index + 1: index for index in range(_COUNT)}, ignore=[0])
_FOLDERS = (("images/", "annotations/"), ("images/", "stuffthingmaps/"), ("", "stuffthingmaps/"))


def _forms_164k(folder: str) -> tuple[MaskFiles, ...]:
    raw = [MaskFiles(f"{images}{folder}", ((f"{masks}{folder}", ".png"),), _RAW, pattern=r"\d+") for images, masks in _FOLDERS]
    return *raw, MaskFiles(f"images/{folder}", ((f"annotations/{folder}", "_labelTrainIds.png"),), _TRAIN_IDS)


def _forms_10k(split: str) -> tuple[MaskFiles, ...]:
    return (
        MaskFiles("images", (("annotations", ".mat"),), _RAW_10K, lists=(f"imageLists/{split}.txt",)),
        MaskFiles(f"images/{split}2014", ((f"annotations/{split}2014", "_labelTrainIds.png"),), _TRAIN_IDS_10K),
    )


class COCOStuff(Distributed):
    """One split of COCO-Stuff; which of its two sizes is told by the tree."""

    title = "COCO-Stuff, 164K or 10K: 171 classes"
    tree = (
        "ROOT/images/train2017|val2017/*.jpg  ROOT/annotations (or stuffthingmaps)/train2017|val2017/*.png  (0–181 with gaps, 255 ignored; "
        "or *_labelTrainIds.png); for 10K ROOT/images/*.jpg  ROOT/annotations/*.mat  ROOT/imageLists/train|test.txt, "
        "or ROOT/images/train2014|test2014/*.jpg  ROOT/annotations/train2014|test2014/*_labelTrainIds.png  (0 ignored)"
    )
    classes = class_set(_LABELS)
    splits = {"train": _forms_164k("train2017") + _forms_10k("train"), "val": _forms_164k("val2017") + _forms_10k("test")}
