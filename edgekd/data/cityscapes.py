"""Cityscapes (Cordts et al., CVPR 2016), its 19 evaluated classes."""

from edgekd.data.files import label_table
from edgekd.data.forms import Distributed, MaskFiles
from edgekd.data.labels import class_set, read_labels
from edgekd_runtime.classes import IGNORE

_LABELS = read_labels("cityscapes")
_IDS = {label.value: index for index, label in enumerate(_LABELS)}
# the evaluation ignores the other ids of 0–33; 255 is the licence plate's −1
_LABEL_IDS = label_table(_IDS, ignore=[value for value in range(34) if value not in _IDS] + [IGNORE])
_TRAIN_IDS = label_table({index: index for index in range(len(_LABELS))}, ignore=[IGNORE])


def _forms(split: str) -> tuple[MaskFiles, ...]:
    return tuple(
        MaskFiles(f"leftImg8bit/{split}/*", ((f"gtFine/{split}/*", f"_gtFine_{kind}.png"),), table, "_leftImg8bit.png")
        for kind, table in (("labelIds", _LABEL_IDS), ("labelTrainIds", _TRAIN_IDS))
    )


class Cityscapes(Distributed):
    """One split of Cityscapes; the masks' label ids become the 19 train ids when read."""

    title = "Cityscapes: streets of 50 cities, 19 classes, 1024×2048"
    tree = (
        "ROOT/leftImg8bit/train|val/CITY/*_leftImg8bit.png  ROOT/gtFine/train|val/CITY/*_gtFine_labelIds.png  "
        "(or *_gtFine_labelTrainIds.png)"
    )
    classes = class_set(_LABELS)
    splits = {split: _forms(split) for split in ("train", "val")}
