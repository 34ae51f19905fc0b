"""ADE20K as the scene parsing challenge distributes it (Zhou et al., CVPR 2017): 150 classes."""

from edgekd.data.files import label_table
from edgekd.data.forms import Distributed, MaskFiles
from edgekd.data.labels import class_set, read_labels

_LABELS = read_labels("ade20k")
_TABLE = label_table({label.value: index for index, label in enumerate(_LABELS)}, ignore=[0])


class ADE20K(Distributed):
    """One split of ADE20K; 0, "other", is ignored and 1–150 become 0–149."""

    title = "ADE20K (ADEChallengeData2016): scenes, 150 classes"
    tree = "ROOT/images/training|validation/*.jpg  ROOT/annotations/training|validation/*.png  (0 ignored, 1–150 classes)"
    classes = class_set(_LABELS)
    splits = {
        split: (MaskFiles(f"images/{folder}", ((f"annotations/{folder}", ".png"),), _TABLE),)
        for split, folder in (("train", "training"), ("val", "validation"))
    }
