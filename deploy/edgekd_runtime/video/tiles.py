"""Frames larger than the network: cut into overlapping tiles, each seen at its own resolution, and put together again."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import UsageError
from edgekd_runtime.image import fit_classes
from edgekd_runtime.sizes import parse_size

OVERLAP = 0.25
"""Of a tile's own share of the frame, seen on each inner side but not kept: at its border a network knows half of what is around."""
MOST = 64


def parse_tiles(text: str) -> tuple[int, int]:
    """``RxC`` → (rows, columns).

    Raises:
        UsageError: If they are no whole numbers, or more than 64 together.
    """
    try:
        rows, columns = parse_size(text)
    except UsageError:
        rows = columns = 0
    if not 0 < rows * columns <= MOST:
        raise UsageError(f"--tiles is ROWSxCOLUMNS, e.g. 2x2, and at most {MOST} together, not {text!r}.")
    return rows, columns


def spans(length: int, count: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Along one side, each tile's (kept, seen) range of pixels: what is kept adds up to the side, what is seen overlaps."""
    borders = [round(length * place / count) for place in range(count + 1)]
    margin = round(OVERLAP * length / count) if count > 1 else 0
    return [((low, high), (max(0, low - margin), min(length, high + margin))) for low, high in pairwise(borders)]


class Tiled:
    """A session that sees a frame as rows × columns of tiles; the class map has the frame's size.

    Args:
        session: What sees each tile.
        rows, columns: Of tiles.
    """

    def __init__(self, session: Session, rows: int, columns: int) -> None:
        self._session, self._rows, self._columns = session, rows, columns
        self.artifact: Artifact = session.artifact

    def class_map(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB image uint8 H×W×3 → class map uint8 H×W.

        Raises:
            UsageError: If the image has fewer pixels than tiles along a side.
        """
        height, width = image.shape[:2]
        if height < self._rows or width < self._columns:
            raise UsageError(f"A frame of {height}x{width} can't be cut into {self._rows}x{self._columns} tiles; lower --tiles.")
        whole = np.empty((height, width), np.uint8)
        for (top, bottom), (above, below) in spans(height, self._rows):
            for (left, right), (before, behind) in spans(width, self._columns):
                seen = self._session.class_map(image[above:below, before:behind])
                tile = fit_classes(seen, (below - above, behind - before))
                whole[top:bottom, left:right] = tile[top - above : bottom - above, left - before : right - before]
        return whole
