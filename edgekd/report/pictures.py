"""Example pictures inside the page: rows of the same scene as image, label, every model's prediction and where it is wrong."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.report.words import percent
from edgekd_runtime.classes import IGNORE, ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.image import fit_classes

_LONGEST, _QUALITY = 960, 85
_MAP_COLOURS = 256
RIGHT, WRONG, UNLABELLED = (58, 70, 82), (255, 176, 0), (0, 0, 0)
"""Colours of an error map; their luminance differs, so that they can be told apart without seeing colours."""


@dataclass(frozen=True)
class ErrorMap:
    """Where a prediction differs from the label.

    Attributes:
        picture: RGB, uint8 H×W×3 in the colours `RIGHT`, `WRONG` and `UNLABELLED`.
        share: Wrong pixels of those that are labelled, in 0–1; None if none is.
    """

    picture: NDArray[np.uint8]
    share: float | None


@dataclass(frozen=True)
class SampleRow:
    """One scene.

    Attributes:
        name: What the page calls it, e.g. the file's name.
        pictures: Title → RGB, uint8 H×W×3, in the order of display, e.g. ``image``, ``label``, ``teacher``, ``student``.
        errors: Title of a prediction → where it is wrong.
    """

    name: str
    pictures: dict[str, NDArray[np.uint8]]
    errors: dict[str, ErrorMap] = field(default_factory=dict)


def error_map(label: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> ErrorMap:
    """Where two class maps differ.

    Args:
        label: uint8 H×W; 255 is not labelled.
        prediction: uint8; resized to the label by nearest neighbour if its size differs.
    """
    counted = label != IGNORE
    wrong = counted & (fit_classes(prediction, (label.shape[0], label.shape[1])) != label)
    picture = np.full((*label.shape, 3), RIGHT, np.uint8)
    picture[wrong] = WRONG
    picture[~counted] = UNLABELLED
    return ErrorMap(picture, float(wrong.sum() / counted.sum()) if counted.any() else None)


def pictures_view(samples: Sequence[SampleRow], class_sets: Sequence[ClassSet]) -> dict[str, Any]:
    """The grid of pictures, and the legends of the classes and of the error maps."""
    errors = (("prediction differs from the label", WRONG), ("prediction agrees", RIGHT), ("not labelled", UNLABELLED))
    return {
        "legends": [list(zip(one.names, one.palette, strict=True)) for one in class_sets],
        "error_legend": errors if any(sample.errors for sample in samples) else (),
        "samples": [{"name": sample.name, "figures": _figures(sample)} for sample in samples],
    }


def _figures(sample: SampleRow) -> list[dict[str, Any]]:
    figures = []
    for title, picture in sample.pictures.items():
        figures.append(_figure(sample, title, picture))
        if title in sample.errors:
            wrong = sample.errors[title]
            share = "" if wrong.share is None else f": {percent(wrong.share, 1)} % of pixels"
            figures[-1]["error"] = _figure(sample, f"wrong{share}", wrong.picture)
    return figures


def _figure(sample: SampleRow, title: str, picture: NDArray[np.uint8]) -> dict[str, Any]:
    return {
        "title": title,
        "source": data_uri(picture),
        "width": picture.shape[1],
        "height": picture.shape[0],
        "words": f"{sample.name}: {title}",
        "error": None,
    }


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
