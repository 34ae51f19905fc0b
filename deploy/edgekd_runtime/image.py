"""Before and after the network, in one place for host and device: resize to the network's rectangle, paint the class map."""

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.classes import ClassSet


def fit(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an image to the network's H×W: area-averaged when shrinking, bilinear when growing; unchanged when it fits."""
    if image.shape[:2] == size:
        return np.ascontiguousarray(image)
    shrinks = image.shape[0] >= size[0] and image.shape[1] >= size[1]
    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def fit_classes(class_map: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize a class map to H×W by nearest neighbour."""
    if class_map.shape == size:
        return class_map
    return cv2.resize(class_map, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT)


def paint(class_map: NDArray[np.uint8], classes: ClassSet) -> NDArray[np.uint8]:
    """Colour a class map, uint8 H×W → RGB H×W×3; ignored pixels are black."""
    return cv2.applyColorMap(class_map, classes.lookup()[:, None])


def overlay(
    image: NDArray[np.uint8],
    class_map: NDArray[np.uint8],
    classes: ClassSet,
    opacity: float = 0.5,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Blend the painted class map over the image, into `out` where given; the map is resized to the image."""
    painted = paint(fit_classes(class_map, (image.shape[0], image.shape[1])), classes)
    return cv2.addWeighted(image, 1.0 - opacity, painted, opacity, 0.0, dst=out)


def legend(classes: ClassSet, height: int, width: int = 150) -> NDArray[np.uint8]:
    """A column of colour swatches with names, RGB `height`×`width`; names flow into as many columns as they need."""
    panel = np.full((height, width, 3), 24, np.uint8)
    row = max(12, min(26, (height - 8) // max(1, len(classes))))
    rows = max(1, (height - 8) // row)
    column = width // -(-len(classes) // rows)
    scale = row / 50
    for position, (name, colour) in enumerate(zip(classes.names, classes.palette, strict=True)):
        x, y = 6 + position // rows * column, 4 + position % rows * row
        cv2.rectangle(panel, (x, y + 2), (x + row - 4, y + row - 3), colour, cv2.FILLED)
        text(panel, name, (x + row + 2, y + int(row * 0.72)), scale)
    return panel


def text(image: NDArray[np.uint8], words: str, origin: tuple[int, int], scale: float = 0.5) -> None:
    """Write white text with a dark edge, in place; `origin` is the bottom left corner (x, y)."""
    x, y = origin
    # four shifted copies make the edge: a thicker stroke has other letter widths in OpenCV 5
    for dx, dy, colour in ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, 255)):
        cv2.putText(image, words, (x + dx, y + dy), cv2.FONT_HERSHEY_SIMPLEX, scale, (colour,) * 3, 1, cv2.LINE_AA)
