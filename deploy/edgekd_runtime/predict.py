"""Class maps of images as files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.backends.base import Session
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.files import read_image, write_image
from edgekd_runtime.image import overlay, paint

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
FORMS: dict[str, Callable[[NDArray[np.uint8], ClassSet], NDArray[np.uint8]]] = {"index": lambda mask, classes: mask, "palette": paint}
"""Form of a mask file → class map and classes → its pixels: class numbers in grey, or the classes' colours."""


@dataclass(frozen=True)
class Predicted:
    """One image's class map.

    Attributes:
        image: Where it was read.
        mask: Where its class map was written, at the image's own size.
        overlay: Where the painted image was written, or None.
        shares: Share of the image's pixels by class name; classes that it lacks are left out.
    """

    image: Path
    mask: Path
    overlay: Path | None
    shares: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dictionary."""
        painted = str(self.overlay) if self.overlay else None
        return {"image": str(self.image), "mask": str(self.mask), "overlay": painted, "shares": self.shares}


def image_files(paths: Sequence[str]) -> list[Path]:
    """The images that paths stand for: files, all images of folders, and patterns such as ``frames/*.png``; each once, in order.

    Raises:
        EdgeKDError: If a path stands for none.
    """
    found: dict[Path, None] = {}
    for path in paths:
        given = Path(path)
        if given.is_dir():
            files = sorted(file for file in given.iterdir() if file.suffix.lower() in IMAGES and file.is_file())
        else:
            files = [given] if given.exists() else sorted(given.parent.glob(given.name))
        if not files:
            raise EdgeKDError(f"No images at {path}; give image files, a folder of them, or a pattern such as 'frames/*.png'.")
        found |= dict.fromkeys(files)
    return list(found)


def predict(
    session: Session,
    images: Sequence[Path],
    out: Path,
    *,
    form: str = "index",
    overlays: bool = False,
    opacity: float = 0.5,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> list[Predicted]:
    """Write the class map of each image as PNG, at the image's own size.

    Args:
        session: An opened model.
        images: Image files.
        out: Folder of ``NAME.png``, and of ``NAME_overlay.jpg``.
        form: A key of `FORMS`.
        overlays: Write the image with its classes painted over it, too.
        opacity: Of the colours in that.
        progress: Told of (done, all).

    Raises:
        UsageError: If two images have one name, a mask would replace an image, or there is no such form.
        EdgeKDError: If an image can't be read, or a file can't be written.
    """
    if form not in FORMS:
        raise UsageError(f"There is no form {form!r} of masks; it is {' or '.join(FORMS)}.")
    names: dict[str, Path] = {}
    for image in images:
        if (other := names.setdefault(image.stem, image)) is not image:
            raise UsageError(f"{other} and {image} would both become {out / image.stem}.png; predict them into two folders.")
        if (out / f"{image.stem}.png").resolve() == image.resolve():
            raise UsageError(f"The mask of {image} would replace it; choose another --out.")
    classes = session.artifact.classes
    done = []
    for image in images:
        pixels = read_image(image)
        mask = session.predict(pixels, (pixels.shape[0], pixels.shape[1]))
        file, painted = out / f"{image.stem}.png", out / f"{image.stem}_overlay.jpg" if overlays else None
        write_image(file, FORMS[form](mask, classes))
        if painted is not None:
            write_image(painted, overlay(pixels, mask, classes, opacity))
        counts = np.bincount(mask.reshape(-1), minlength=len(classes)) / mask.size
        done.append(
            Predicted(image, file, painted, {name: float(share) for name, share in zip(classes.names, counts, strict=False) if share})
        )
        progress(len(done), len(images))
    return done
