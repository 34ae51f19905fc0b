"""Reading every image and mask of a split, and naming each fault."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgekd.console import Update, table
from edgekd.data import open_layout
from edgekd_runtime.errors import EdgeKDError


@dataclass(frozen=True)
class DataReport:
    """What was found.

    Attributes:
        images: Image–mask pairs read.
        sizes: Image sizes ``HxW`` and how many have each.
        pixels: Share of the labelled pixels, a class.
        ignored: Share of all pixels that are ignored.
        faults: One sentence each, with the file's name.
    """

    images: int
    sizes: dict[str, int]
    pixels: dict[str, float]
    ignored: float
    faults: list[str]

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dictionary."""
        return asdict(self)

    def show(self) -> None:
        """Print as tables."""
        sizes = ", ".join(f"{count} of {size}" for size, count in self.sizes.items())
        rows = [[name, f"{100 * share:.3f}"] for name, share in self.pixels.items()]
        table(f"{self.images} images: {sizes}; {100 * self.ignored:.2f} % of the pixels ignored", ["class", "% of labelled pixels"], rows)
        if self.faults:
            table(f"{len(self.faults)} faults", ["fault"], [[fault] for fault in self.faults])


def check_layout(name: str, split: str, root: str | None, update: Update) -> DataReport:
    """Read a whole split.

    Args:
        name: Layout.
        split: Its split.
        root: Its folder.
        update: Told of progress.
    """
    layout = open_layout(name, split, root, faults=True)
    faults = list(getattr(layout, "faults", []))
    sizes: dict[str, int] = {}
    counts = np.zeros(256, np.int64)
    for index in range(len(layout)):
        try:
            image, label = layout.read(index)
        except EdgeKDError as error:
            faults.append(str(error))
        else:
            size = f"{image.shape[0]}x{image.shape[1]}"
            sizes[size] = sizes.get(size, 0) + 1
            counts += np.bincount(label.ravel(), minlength=256)
        update(index + 1, len(layout))
    of_class = counts[: len(layout.classes)]
    faults += [
        f"no pixel of the class {name} in the split {split}"
        for name, count in zip(layout.classes.names, of_class, strict=True)
        if not count
    ]
    shares = of_class / max(1, of_class.sum())
    return DataReport(
        images=len(layout),
        sizes=sizes,
        pixels=dict(zip(layout.classes.names, shares.tolist(), strict=True)),
        ignored=float(1 - of_class.sum() / max(1, counts.sum())),
        faults=faults,
    )
