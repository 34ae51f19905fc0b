"""Class names and colours: what a label value means and how it is painted."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.errors import UsageError
from edgekd_runtime.typed import Within

Level = Annotated[int, Within(0, 255)]

IGNORE = 255
"""Label value that no loss and no metric counts, on every side of the project."""


@dataclass(frozen=True)
class ClassSet:
    """The classes of a data set, in label order.

    Attributes:
        names: One name a class; the position is the label value.
        palette: One RGB colour a class, 0–255.

    Raises:
        UsageError: If the two lengths differ, there is no class, or there are more than 255.
    """

    names: tuple[str, ...]
    palette: tuple[tuple[Level, Level, Level], ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.palette):
            raise UsageError(f"{len(self.names)} class names but {len(self.palette)} palette colours; give one colour a class.")
        if not 0 < len(self.names) <= IGNORE:
            raise UsageError(f"A class map is uint8, so 1 to {IGNORE} classes are possible, not {len(self.names)}.")

    def __len__(self) -> int:
        return len(self.names)

    def lookup(self) -> NDArray[np.uint8]:
        """Colour table, 256×3 RGB; values that are no class, 255 among them, are black."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self)] = self.palette
        return table


def default_palette(count: int) -> tuple[tuple[int, int, int], ...]:
    """`count` distinguishable RGB colours (the Pascal VOC bit-interleaved colour map, without its black)."""
    colours = []
    for value in range(1, count + 1):
        channels, bits = [0, 0, 0], value
        for shift in range(7, -1, -1):
            for channel in range(3):
                channels[channel] |= (bits >> channel & 1) << shift
            bits >>= 3
        colours.append((channels[0], channels[1], channels[2]))
    return tuple(colours)
