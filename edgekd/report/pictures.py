"""Example pictures inside the page: rows of the same scene as image, label and every model's prediction."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.report.markup import text
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError

_LONGEST, _QUALITY = 960, 85
_MAP_COLOURS = 256


@dataclass(frozen=True)
class SampleRow:
    """One scene.

    Attributes:
        name: What the page calls it, e.g. the file's name.
        pictures: Title → RGB, uint8 H×W×3, in the order of display, e.g. ``image``, ``label``, ``teacher``, ``student``.
    """

    name: str
    pictures: dict[str, NDArray[np.uint8]]


def pictures_section(samples: Sequence[SampleRow], class_sets: Sequence[ClassSet]) -> str:
    """The grid of pictures under the legend of the classes."""
    legends = "".join(legend(classes) for classes in class_sets)
    return f'<section id="pictures"><h2>Pictures</h2>{legends}{"".join(_sample(sample) for sample in samples)}</section>'


def legend(classes: ClassSet) -> str:
    """Names of classes beside their colours."""
    entries = (f"<li>{swatch(colour)}{text(name)}</li>" for name, colour in zip(classes.names, classes.palette, strict=True))
    return f'<ul class="legend">{"".join(entries)}</ul>'


def swatch(colour: tuple[int, int, int]) -> str:
    """A small square of a class's colour."""
    return f'<span class="swatch" style="background:rgb{colour}"></span>'.replace(", ", ",")


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A picture as a ``data:`` address: PNG where it has as few colours as a class map, JPEG otherwise; at most 960 px long.

    Args:
        picture: RGB, uint8 H×W×3.

    Raises:
        UsageError: If it is anything else.
        EdgeKDError: If OpenCV can't encode it.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise UsageError(f"A picture of the report is RGB, uint8 H×W×3, not {picture.dtype} {'×'.join(map(str, picture.shape))}.")
    is_map = _colours(picture) <= _MAP_COLOURS
    shrink = _LONGEST / max(picture.shape[:2])
    if shrink < 1:
        # averaging would invent colours that are no class
        method = cv2.INTER_NEAREST_EXACT if is_map else cv2.INTER_AREA
        size = (max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink)))
        picture = cv2.resize(picture, size, interpolation=method)
    suffix, options = (".png", [cv2.IMWRITE_PNG_COMPRESSION, 9]) if is_map else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    ok, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not ok:
        raise EdgeKDError(f"OpenCV can't encode a picture of {picture.shape[1]}×{picture.shape[0]} pixels as {suffix}.")
    kind = "png" if is_map else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode('ascii')}"


def _colours(picture: NDArray[np.uint8]) -> int:
    packed = picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    return len(np.unique(packed))


def _sample(sample: SampleRow) -> str:
    figures = "".join(
        f'<figure><img src="{data_uri(picture)}" width="{picture.shape[1]}" height="{picture.shape[0]}" '
        f'alt="{text(sample.name)}: {text(title)}" loading="lazy"><figcaption>{text(title)}</figcaption></figure>'
        for title, picture in sample.pictures.items()
    )
    return f'<h3>{text(sample.name)}</h3><div class="pictures" style="--count:{len(sample.pictures)}">{figures}</div>'
