"""Pascal VOC 2012 (Everingham et al.), with the training set that SBD augments (Hariharan et al., ICCV 2011)."""

from edgekd.data.files import label_table
from edgekd.data.forms import Distributed, MaskFiles
from edgekd.data.labels import class_set, read_labels
from edgekd_runtime.classes import IGNORE

_LABELS = read_labels("voc")
_TABLE = label_table({label.value: index for index, label in enumerate(_LABELS)}, ignore=[IGNORE])
_OWN = ("VOC2012/SegmentationClass", ".png")  # where an image has masks of both, VOC's own counts
_SETS = "VOC2012/ImageSets"
_AUGMENTED = ("Segmentation/trainaug", "Segmentation/train_aug", "SegmentationAug/train_aug", "SegmentationAug/trainaug")
_SBD = ("VOCaug/dataset", "benchmark_RELEASE/dataset")


def _form(masks: tuple[tuple[str, str], ...], lists: tuple[str, ...], without: tuple[str, ...] = ()) -> MaskFiles:
    return MaskFiles("VOC2012/JPEGImages", masks, _TABLE, lists=lists, without=without)


def _own(split: str) -> tuple[MaskFiles, ...]:
    return (_form((_OWN,), (f"{_SETS}/Segmentation/{split}.txt",)),)


_TRAINAUG = tuple(_form((_OWN, ("VOC2012/SegmentationClassAug", ".png")), (f"{_SETS}/{name}.txt",)) for name in _AUGMENTED)
_FROM_SBD = tuple(
    _form(
        (_OWN, (f"{base}/cls", ".mat")),
        (f"{_SETS}/Segmentation/train.txt", f"{base}/train.txt", f"{base}/val.txt"),
        without=(f"{_SETS}/Segmentation/val.txt",),
    )
    for base in _SBD
)


class VOC(Distributed):
    """One split of Pascal VOC 2012; `trainaug` is the augmented training set of 10,582 images. Borders, 255, are ignored."""

    title = "Pascal VOC 2012: 20 object classes and background"
    tree = (
        "ROOT/VOC2012/JPEGImages/*.jpg  ROOT/VOC2012/SegmentationClass/*.png  ROOT/VOC2012/ImageSets/Segmentation/train|val|trainval.txt; "
        "for the split trainaug also ROOT/VOC2012/SegmentationClassAug/*.png with ROOT/VOC2012/ImageSets/Segmentation/trainaug.txt "
        "(or train_aug.txt, or either in SegmentationAug), or SBD's ROOT/VOCaug/dataset (or benchmark_RELEASE/dataset) with cls/*.mat, "
        "train.txt and val.txt"
    )
    classes = class_set(_LABELS)
    splits = {split: _own(split) for split in ("train", "val", "trainval")} | {"trainaug": _TRAINAUG + _FROM_SBD}
