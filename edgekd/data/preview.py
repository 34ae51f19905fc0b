"""A contact sheet: what the network will be shown, and what it is asked to say."""

import numpy as np
from numpy.typing import NDArray

from edgekd.data.layout import Layout
from edgekd_runtime.image import fit, fit_classes, legend, overlay

COLUMNS = 4
CELL_WIDTH = 256


def contact_sheet(layout: Layout, images: int) -> NDArray[np.uint8]:
    """Images spread over the split, each above itself with its label painted on, and the legend at the right.

    Args:
        layout: A split.
        images: How many, at most its length.
    """
    cells = [_cell(layout, index) for index in layout.spread(images)]
    height = max(len(cell) for cell in cells)
    blank = np.full((height, CELL_WIDTH, 3), 24, np.uint8)
    padded = [np.vstack([cell, blank[: height - len(cell)]]) for cell in cells]
    padded += [blank] * (-len(padded) % COLUMNS)
    rows = [np.hstack(padded[start : start + COLUMNS]) for start in range(0, len(padded), COLUMNS)]
    sheet = np.vstack(rows)
    return np.hstack([sheet, legend(layout.classes, len(sheet))])


def _cell(layout: Layout, index: int) -> NDArray[np.uint8]:
    image, label = layout.read(index)
    size = (max(1, round(image.shape[0] * CELL_WIDTH / image.shape[1])), CELL_WIDTH)
    small = fit(image, size)
    return np.vstack([small, overlay(small, fit_classes(label, size), layout.classes, 0.65)])
