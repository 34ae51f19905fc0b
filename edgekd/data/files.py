"""Layouts made of files: image–mask pairs and the table from stored values to classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgekd.data.layout import Layout, Sample
from edgekd_runtime.classes import IGNORE, ClassSet
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import decode, read_image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_UNKNOWN = -1


def label_table(mapping: Mapping[int, int], ignore: Sequence[int] = ()) -> NDArray[np.int16]:
    """Table of 256 entries from stored value to class index; ignored values give 255, all others −1."""
    table = np.full(256, _UNKNOWN, np.int16)
    for stored, index in mapping.items():
        table[stored] = index
    table[list(ignore)] = IGNORE
    return table


def pair_files(images: Path, masks: Path, tree: str) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Images with the masks of the same stem, sorted by name, and a sentence for each that stands alone.

    Args:
        images: Folder of images.
        masks: Folder of masks.
        tree: The tree that the layout expects, for the message.

    Raises:
        EdgeKDError: If a folder is missing or holds no image.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise EdgeKDError(f"No folder {folder}; this layout expects\n{tree}")
    image_of = _by_stem(images)
    mask_of = _by_stem(masks)
    if not image_of:
        raise EdgeKDError(f"No images in {images}; this layout expects\n{tree}")
    faults = [f"{path} has no mask {masks / stem}.png" for stem, path in image_of.items() if stem not in mask_of]
    faults += [f"{path} has no image of that name in {images}" for stem, path in mask_of.items() if stem not in image_of]
    return [(path, mask_of[stem]) for stem, path in image_of.items() if stem in mask_of], faults


def _by_stem(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES}


def read_mask(path: Path) -> NDArray[Any]:
    """Decode a mask as stored: H×W values, or H×W×3 RGB where the file has colours; palette PNGs give their indices.

    Raises:
        EdgeKDError: If the file is missing, truncated or no image.
    """
    pixels = decode(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim == 2:
        return pixels
    with Image.open(path) as stored:
        if stored.mode == "P":  # OpenCV resolves the palette
            return np.asarray(stored)
    return cv2.cvtColor(pixels[..., :3], cv2.COLOR_BGR2RGB)


class FileLayout(Layout):
    """Image–mask pairs on disk.

    Args:
        pairs: (image, mask) paths.
        faults: Sentences about files without a partner, for ``edgekd data check``.
        classes: Names and palette.
        table: From `label_table`, for masks that store values.
        colours: Masks may store the palette's colours instead; black is then ignored unless it is a class.
    """

    def __init__(
        self, pairs: list[tuple[Path, Path]], faults: list[str], classes: ClassSet, table: NDArray[np.int16], colours: bool = False
    ) -> None:
        self.pairs, self.faults, self.classes, self._table, self._colours = pairs, faults, classes, table, colours

    def __len__(self) -> int:
        return len(self.pairs)

    def name(self, index: int) -> str:
        return str(self.pairs[index][0])

    def read(self, index: int) -> Sample:
        image_file, mask_file = self.pairs[index]
        image, stored = read_image(image_file), read_mask(mask_file)
        if image.shape[:2] != stored.shape[:2]:
            raise EdgeKDError(
                f"{mask_file} is {_size(stored)} but its image {image_file} is {_size(image)}; make them the same size (nearest for masks)."
            )
        if stored.ndim == 3:
            return Sample(image, self._classes_of_colours(stored, mask_file))
        return Sample(image, self._classes_of_values(stored, mask_file))

    def _classes_of_values(self, stored: NDArray[np.integer], mask_file: Path) -> NDArray[np.uint8]:
        highest = int(stored.max())
        mapped = self._table[np.minimum(stored, 255)] if highest > 255 else self._table[stored]
        if highest > 255 or (mapped == _UNKNOWN).any():
            value = highest if highest > 255 else int(stored[mapped == _UNKNOWN][0])
            known = ", ".join(str(value) for value in np.flatnonzero(self._table != _UNKNOWN))
            raise EdgeKDError(f"{mask_file} has the label value {value}, which is no class here (known: {known}); map or ignore it.")
        return mapped.astype(np.uint8)

    def _classes_of_colours(self, mask: NDArray[np.uint8], mask_file: Path) -> NDArray[np.uint8]:
        if not self._colours:
            if (mask == mask[..., :1]).all():  # values, stored three times
                return self._classes_of_values(mask[..., 0], mask_file)
            raise EdgeKDError(f"{mask_file} stores colours; give the classes' colours as palette in dataset.yaml, or store class values.")
        packed = mask.astype(np.int64) @ np.array([65536, 256, 1])
        result = np.full(packed.shape, -1, np.int64)
        for index, colour in enumerate(self.classes.palette):
            result[packed == np.dot(colour, [65536, 256, 1])] = index
        result[(result < 0) & (packed == 0)] = IGNORE
        if (result < 0).any():
            unknown = tuple(int(value) for value in mask[result < 0][0])
            raise EdgeKDError(f"{mask_file} has the colour {unknown}, which is in no class's palette; add it or store class indices.")
        return result.astype(np.uint8)


def _size(array: NDArray[np.generic]) -> str:
    return f"{array.shape[0]}x{array.shape[1]}"
