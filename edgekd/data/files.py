"""Layouts made of files: image–mask pairs and the table from stored values to classes."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgekd.data.layout import Layout, Sample
from edgekd.data.mat import read_mat
from edgekd_runtime.classes import IGNORE, ClassSet
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import decode, read_image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_UNKNOWN = -1
_CHANNELS = np.array([65536, 256, 1])  # packs a colour into one number

Pairs = list[tuple[str, str]]
"""Paths of images and their masks; plain strings, for there may be a hundred thousand."""
Colours = dict[tuple[int, int, int], int]
"""Class, or 255 for ignored, of each RGB colour that masks may store."""


def label_table(mapping: Mapping[int, int], ignore: Sequence[int] = ()) -> NDArray[np.int16]:
    """Table of 256 entries from stored value to class index; ignored values give 255, all others −1."""
    table = np.full(256, _UNKNOWN, np.int16)
    for stored, index in mapping.items():
        table[stored] = index
    table[list(ignore)] = IGNORE
    return table


def list_files(folder: Path, endings: Sequence[str] = IMAGE_SUFFIXES) -> dict[str, str]:
    """Paths by sample name, in the order of the file names; opens no file.

    Args:
        folder: Where to look, not below it.
        endings: What a file's name has after the sample's, in any case.
    """
    lowered = [ending.lower() for ending in endings]
    prefix = f"{folder}{os.sep}"
    found = {}
    for name in sorted(file.name for file in os.scandir(folder)):
        whole = name.lower()
        for ending in lowered:
            if whole.endswith(ending):
                found[name[: -len(ending)]] = prefix + name
                break
    return found


def match_files(folder: Path, pattern: str) -> dict[str, str]:
    """Paths by sample name of the files whose names fit a pattern with one ``{stem}``, in the order of the file names."""
    before, after = pattern.split("{stem}")
    names = sorted(file.name for file in os.scandir(folder))
    longer = (name for name in names if len(name) > len(before) + len(after) and name.startswith(before) and name.endswith(after))
    return {name[len(before) : len(name) - len(after)]: f"{folder}{os.sep}{name}" for name in longer}


def pair_files(
    images: Path, masks: Path, tree: str, image_pattern: str | None = None, mask_pattern: str | None = None
) -> tuple[Pairs, list[str]]:
    """Images with the masks of the same stem, sorted by name, and a sentence for each that stands alone.

    Args:
        images: Folder of images.
        masks: Folder of masks.
        tree: The tree that the layout expects, for the message.
        image_pattern: Name of an image file with ``{stem}`` for what a pair shares; None = the name without its suffix.
        mask_pattern: Likewise of a mask file.

    Raises:
        EdgeKDError: If a folder is missing or holds no image.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise EdgeKDError(f"No folder {folder}; this layout expects\n{tree}")
    patterns = image_pattern, mask_pattern
    image_of, mask_of = (
        list_files(folder) if pattern is None else match_files(folder, pattern)
        for folder, pattern in zip((images, masks), patterns, strict=True)
    )
    if not image_of:
        named = f" named {image_pattern}" if image_pattern else ""
        raise EdgeKDError(f"No images{named} in {images}; this layout expects\n{tree}")
    wanted = mask_pattern or "{stem}.png"
    faults = [f"{path} has no mask {masks / wanted.replace('{stem}', stem)}" for stem, path in image_of.items() if stem not in mask_of]
    faults += [f"{path} has no image of that name in {images}" for stem, path in mask_of.items() if stem not in image_of]
    return [(path, mask_of[stem]) for stem, path in image_of.items() if stem in mask_of], faults


def read_mask(path: str) -> NDArray[Any]:
    """Decode a mask as stored: H×W values, or H×W×3 RGB where the file has colours; palette PNGs give their indices.

    Raises:
        EdgeKDError: If the file is missing, truncated or neither an image nor a `.mat` file with a label map.
    """
    if path.endswith(".mat"):
        return read_mat(path)
    pixels = decode(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] not in (3, 4):
        raise EdgeKDError(f"{path} has {pixels.shape[2]} channels; store class values in one, or colours in three.")
    with suppress(OSError), Image.open(path) as stored:  # a form that Pillow does not know has no palette
        if stored.mode == "P":  # OpenCV resolves the palette
            return np.asarray(stored)
    return cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2RGB)


def read_mask_file(image_file: str, mask_file: str) -> NDArray[Any]:
    """`read_mask` of a mask that has a file of its own."""
    return read_mask(mask_file)


def colour_table(classes: ClassSet) -> Colours:
    """Class of each colour of the palette; black is ignored unless it is a class."""
    return {(0, 0, 0): IGNORE} | {colour: index for index, colour in enumerate(classes.palette)}


class FileLayout(Layout):
    """Image–mask pairs on disk.

    Args:
        pairs: (image, mask) paths.
        faults: Sentences about files without a partner, for ``edgekd data check``.
        classes: Names and palette.
        table: From `label_table`, for masks that store values.
        colours: For masks that store colours instead.
        stored: Gives the mask as stored, from the paths of a pair.
    """

    def __init__(
        self,
        pairs: Pairs,
        faults: list[str],
        classes: ClassSet,
        table: NDArray[np.int16],
        colours: Colours | None = None,
        stored: Callable[[str, str], NDArray[Any]] = read_mask_file,
    ) -> None:
        self.pairs, self.faults, self.classes, self.table, self.colours = pairs, faults, classes, table, colours
        self._stored = stored

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        return self.pairs[index][0]

    def read(self, index: int) -> Sample:
        image_file, mask_file = self.pairs[index]
        image, stored = read_image(image_file), self._stored(image_file, mask_file)
        if image.shape[:2] != stored.shape[:2]:
            turned = " EXIF's orientation is not heeded: write the image upright." if image.shape[1::-1] == stored.shape[:2] else ""
            raise EdgeKDError(
                f"{mask_file} is {_size(stored)} but its image {image_file} is {_size(image)}; "
                f"make them the same size (nearest for masks).{turned}"
            )
        if stored.ndim == 3:
            return Sample(image, self._classes_of_colours(stored, mask_file))
        return Sample(image, self._classes_of_values(stored, mask_file))

    def _classes_of_values(self, stored: NDArray[np.integer], mask_file: str) -> NDArray[np.uint8]:
        if stored.dtype.kind not in "bui":  # MATLAB stores whole numbers as float64
            if not (np.isfinite(stored).all() and np.array_equal(stored, np.rint(stored))):
                raise EdgeKDError(f"{mask_file} stores fractions, and a mask stores class values; write it as whole numbers.")
            stored = stored.astype(np.int64)
        if int(stored.min()) < 0:
            raise EdgeKDError(f"{mask_file} has the label value {int(stored.min())}; store class values from 0 to 255.")
        highest = int(stored.max())
        mapped = self.table[np.minimum(stored, 255)] if highest > 255 else self.table[stored]
        if highest > 255 or (mapped == _UNKNOWN).any():
            value = highest if highest > 255 else int(stored[mapped == _UNKNOWN][0])
            known = _ranges(np.flatnonzero(self.table != _UNKNOWN))
            raise EdgeKDError(
                f"{mask_file} has the label value {value}, which is no class here (known: {known}); "
                f"map or ignore it; this layout expects\n{self.tree}"
            )
        return mapped.astype(np.uint8)

    def _classes_of_colours(self, mask: NDArray[Any], mask_file: str) -> NDArray[np.uint8]:
        if mask.dtype != np.uint8 and not (self.colours is None and mask.dtype.kind == "u"):  # 16 bits may store values three times
            raise EdgeKDError(f"{mask_file} stores colours as {mask.dtype}; store them in 8 bits each, or store class values.")
        if not self.colours:
            if (mask == mask[..., :1]).all():  # values, stored three times
                return self._classes_of_values(mask[..., 0], mask_file)
            raise EdgeKDError(f"{mask_file} stores colours; give the classes' colours as palette in dataset.yaml, or store class values.")
        keys = np.array(list(self.colours)) @ _CHANNELS
        order = np.argsort(keys)
        packed = mask @ _CHANNELS
        found = order[np.searchsorted(keys, packed, sorter=order).clip(max=len(keys) - 1)]
        unknown = keys[found] != packed
        if unknown.any():
            colour = tuple(int(value) for value in mask[unknown][0])
            raise EdgeKDError(
                f"{mask_file} has the colour {colour}, which is in no class's palette; "
                f"add it or store class indices; this layout expects\n{self.tree}"
            )
        return np.array(list(self.colours.values()), np.uint8)[found]


def _ranges(values: NDArray[np.integer]) -> str:
    """``0–10, 255``."""
    runs = [[int(value) for _, value in run] for _, run in groupby(enumerate(values), lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _size(array: NDArray[np.generic]) -> str:
    return f"{array.shape[0]}x{array.shape[1]}"
