"""Your own data: folders of images and masks, described by a `dataset.yaml`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field

from edgekd.config import Strict
from edgekd.data.files import Colours, FileLayout, Pairs, colour_table, label_table, pair_files, read_mask
from edgekd.loading import read_yaml, validate
from edgekd_runtime.classes import IGNORE, ClassSet, default_palette
from edgekd_runtime.errors import EdgeKDError

_LOOKED_AT = 20
"""Masks that may be read to tell what all of them hold."""


def _with_stem(pattern: str) -> str:
    if pattern.count("{stem}") != 1 or "/" in pattern:
        raise ValueError("a file name with {stem} once, and no folder")
    return pattern


Level = Annotated[int, Field(ge=0, le=255)]
Pattern = Annotated[str, AfterValidator(_with_stem)]


class FolderFile(Strict):
    """What `dataset.yaml` may say.

    Attributes:
        names: Class names in label order.
        palette: One RGB colour a class, for pictures and for masks that store colours; made up where absent.
        mapping: Stored mask value → class index; the identity where absent.
        ignore: Stored mask values that no loss and no metric counts.
        stores: What RGB masks hold where there is a palette: its ``colours``, or class ``values`` three times, as grey; told from the
            masks where absent.
        images, masks: File names with ``{stem}`` for what an image and its mask share, e.g. ``{stem}_instance_color_RGB.png``; the
            name without its suffix where absent.
    """

    names: list[str] = Field(min_length=1, max_length=255)
    palette: list[tuple[Level, Level, Level]] | None = None
    mapping: dict[int, int] | None = None
    ignore: list[Level] = [IGNORE]
    stores: Literal["colours", "values"] | None = None
    images: Pattern | None = None
    masks: Pattern | None = None


class Folder(FileLayout):
    """One split of a folder data set.

    Args:
        split: Any name that the tree has.
        root: Folder that holds `dataset.yaml`.

    Raises:
        EdgeKDError: If the tree or `dataset.yaml` is missing or wrong.
    """

    title = "Your own images and masks, described by dataset.yaml"
    tree = "ROOT/dataset.yaml (names, mapping, …)  ROOT/SPLIT/images  ROOT/SPLIT/masks  or  ROOT/images/SPLIT  ROOT/masks/SPLIT"

    def __init__(self, split: str = "train", *, root: str) -> None:
        description = self._describe(Path(root, "dataset.yaml"))
        count = len(description.names)
        palette = tuple(description.palette) if description.palette else default_palette(count)
        mapping = description.mapping or {value: value for value in range(count)}
        wrong = [f"{key}: {value}" for key, value in mapping.items() if not (0 <= key <= 255 and 0 <= value < count)]
        if wrong:
            raise EdgeKDError(f"{root}/dataset.yaml maps {wrong[0]}, but values are 0–255 and classes 0–{count - 1}.")
        pairs, faults = pair_files(*self._folders(Path(root), split), self.tree, description.images, description.masks)
        classes = ClassSet(tuple(description.names), palette)
        colours = colour_table(classes) if description.palette else None
        if colours and (description.stores or _stores(pairs, colours)) == "values":
            colours = None
        super().__init__(pairs, faults, classes, label_table(mapping, description.ignore), colours)

    def _describe(self, path: Path) -> FolderFile:
        if not path.is_file():
            raise EdgeKDError(f"No {path}; this layout expects\n{self.tree}")
        document: dict[str, Any] = read_yaml(path)
        return validate(FolderFile, document, str(path))

    def _folders(self, root: Path, split: str) -> tuple[Path, Path]:
        if (root / "images" / split).is_dir():
            return root / "images" / split, root / "masks" / split
        return root / split / "images", root / split / "masks"


def _stores(pairs: Pairs, colours: Colours) -> str:
    """What RGB masks hold, from the first that tells: it has a colour that is no grey, or a grey of no class.

    Masks without colours are left to be read as they are. A damaged one tells nothing here; reading it says so.
    """
    for _, mask_file in pairs[:_LOOKED_AT]:
        try:
            mask = read_mask(mask_file)
        except EdgeKDError:
            continue
        if mask.ndim == 2:
            return "colours"
        if (mask != mask[..., :1]).any():
            return "colours"
        if any((value, value, value) not in colours for value in np.unique(mask[..., 0]).tolist()):
            return "values"
    return "colours"
