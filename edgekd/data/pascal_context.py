"""Pascal Context (Mottaghi et al., CVPR 2014): its 59 most frequent classes, or 60 with the background, which is ignored otherwise."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.data.files import Colours, label_table, list_files
from edgekd.data.forms import Distributed, Form, MaskFiles, Opened
from edgekd.data.labels import Label, class_set, read_labels
from edgekd.data.rle import decode_rle
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import read_json

_LABELS = read_labels("pascal_context")
_TABLE = label_table({index + 1: index for index in range(len(_LABELS))}, ignore=[0])
_TABLE_60 = label_table({index: index for index in range(len(_LABELS) + 1)})
_BACKGROUND = Label(0, (120, 120, 120), "background")
_VALUE_OF = {label.value: index + 1 for index, label in enumerate(_LABELS)}  # Context's own ids go up to 459
_JSON = "VOC2010/trainval_merged.json"
_IMAGES = "VOC2010/JPEGImages"


@dataclass(frozen=True)
class Segments:
    """The annotated segments of the images of one split, by image name."""

    of_image: dict[str, dict[str, Any]]

    def stored(self, image_file: str, mask_file: str) -> NDArray[np.uint8]:
        """The mask of an image: 1–59, 0 where nothing is annotated; later segments lie over earlier ones."""
        image = self.of_image[Path(image_file).stem]
        mask = np.zeros((image["height"], image["width"]), np.uint8)
        for category, counts in image["segments"]:
            if category not in _VALUE_OF:
                raise EdgeKDError(
                    f"{mask_file} has the category {category} in {image_file}, which is none of the 59; take the merged file."
                )
            try:
                mask[decode_rle(counts, *mask.shape)] = _VALUE_OF[category]
            except (ValueError, TypeError) as error:
                raise EdgeKDError(f"{mask_file} has a damaged segment in {image_file}; copy it again.") from error
        return mask


@dataclass(frozen=True)
class MergedJson:
    """The form with one JSON file for all images."""

    phase: str
    table: NDArray[np.int16]
    colours: Colours | None = None

    def missing(self, root: Path) -> list[str]:
        return [name for name in (_IMAGES, _JSON) if not (root / name).exists()]

    def open(self, root: Path) -> Opened:
        file = root / _JSON
        try:
            chosen = _segments(read_json(file), self.phase)
        except (KeyError, TypeError) as error:
            raise EdgeKDError(f"{file} is not Pascal Context's merged annotation file; download it again.") from error
        there = list_files(root / _IMAGES, (".jpg",))
        faults = [f"{root / _IMAGES / name}.jpg is missing, but listed in {file}" for name in chosen if name not in there]
        return Opened([(there[name], str(file)) for name in sorted(chosen) if name in there], faults, Segments(chosen).stored)


def _segments(document: dict[str, Any], phase: str) -> dict[str, dict[str, Any]]:
    """Size and (category, run lengths) of every image of a phase, by its name."""
    segments = defaultdict(list)
    for segment in document["annos_segmentation"]:
        segments[segment["image_id"]].append((segment["category_id"], segment["segmentation"]["counts"]))
    return {
        Path(image["file_name"]).stem: {"height": image["height"], "width": image["width"], "segments": segments[image["image_id"]]}
        for image in document["images"]
        if image["phase"] == phase
    }


def _forms(table: NDArray[np.int16]) -> dict[str, tuple[Form, ...]]:
    """Of every split."""
    masks = (("VOC2010/SegmentationClassContext", ".png"),)
    return {
        split: (
            MaskFiles(_IMAGES, masks, table, lists=(f"VOC2010/ImageSets/SegmentationContext/{split}.txt",)),
            MergedJson(split, table),
        )
        for split in ("train", "val")
    }


class PascalContext(Distributed):
    """One split of Pascal Context, 59 classes in alphabetical order.

    Args:
        split: ``train`` or ``val``.
        root: Folder that holds the tree.
        background: Count what is none of the 59 as class 0, the 60-class form.
    """

    title = "Pascal Context: scenes, 59 classes, or 60 with background"
    tree = (
        "ROOT/VOC2010/JPEGImages/*.jpg with ROOT/VOC2010/SegmentationClassContext/*.png  (0 ignored, 1–59 classes)  "
        "ROOT/VOC2010/ImageSets/SegmentationContext/train|val.txt, or with ROOT/VOC2010/trainval_merged.json"
    )
    classes = class_set(_LABELS)
    splits = _forms(_TABLE)

    def __init__(self, split: str = "train", *, root: str, background: bool = False) -> None:
        if background:
            self.classes, self.splits = class_set([_BACKGROUND, *_LABELS]), _forms(_TABLE_60)  # type: ignore[misc]  # of this form alone
        super().__init__(split, root=root)
