"""Reading every image and mask of a split, and naming each fault."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgekd.config import DataRecipe
from edgekd.console import Update, progress, table
from edgekd.data import open_layout
from edgekd.data.frames import FramesReport, check_frames
from edgekd.data.scan import scan


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
            table("faults", ["fault"], [[fault] for fault in self.faults])


def check_recipe(data: DataRecipe, splits: Sequence[str] = ()) -> dict[str, DataReport | FramesReport]:
    """Read all that a recipe learns from and is scored on, by split, and under ``unlabelled`` what nobody labelled.

    Args:
        data: Of the recipe.
        splits: Instead of its own two.
    """
    found: dict[str, DataReport | FramesReport] = {}
    for split in splits or dict.fromkeys((data.train, data.val)):
        with progress(f"check of {split}") as update:
            found[split] = check_layout(data.layout, split, data.root, update, data.options)
    if data.unlabelled:
        with progress("check of the unlabelled images") as update:
            found["unlabelled"] = check_frames(data.unlabelled, update)
    return found


def check_layout(name: str, split: str, root: str | None, update: Update, options: Mapping[str, Any] | None = None) -> DataReport:
    """Read a whole split; files that have not changed since they were last read are not read again.

    Args:
        name: Layout.
        split: Its split.
        root: Its folder.
        update: Told of progress.
        options: Of the layout.
    """
    layout = open_layout(name, split, root, faults=True, **(options or {}))
    rows = scan(layout, name, split, root, update, options)
    sizes = Counter(f"{row.size[0]}x{row.size[1]}" for row in rows if not row.fault)
    counts = sum((row.counts for row in rows), np.zeros(len(layout.classes) + 1, np.int64))
    of_class = counts[:-1]
    faults = [*getattr(layout, "faults", []), *(row.fault for row in rows if row.fault)]
    faults += [
        f"no pixel of the class {name} in the split {split}"
        for name, count in zip(layout.classes.names, of_class, strict=True)
        if not count
    ]
    shares = of_class / max(1, of_class.sum())
    return DataReport(
        images=len(layout),
        sizes=dict(sizes),
        pixels=dict(zip(layout.classes.names, shares.tolist(), strict=True)),
        ignored=float(1 - of_class.sum() / max(1, counts.sum())),
        faults=faults,
    )
