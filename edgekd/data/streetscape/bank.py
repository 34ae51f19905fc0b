"""The bank: the prototypes of `shapes` compiled into arrays, so that a scene is drawn without a loop over its faces."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.data.streetscape.atlas import PITCH, atlas
from edgekd.data.streetscape.shapes import prototypes
from edgekd.data.streetscape.types import Floats, Image, Ints


class _Bank(NamedTuple):
    """All prototypes as arrays: faces of a kind and corners of a face lie one after another."""

    kinds: dict[str, int]
    grounds: int
    face_start: Ints
    face_count: Ints
    corner_start: Ints
    corner_count: Ints
    corners: Floats
    basis: Floats
    slots: Ints
    metres: Floats
    column: Floats
    label: Image
    solid: NDArray[np.bool_]
    casts: NDArray[np.bool_]


@lru_cache(maxsize=1)
def bank() -> _Bank:
    """The prototypes, compiled."""
    kinds = prototypes()
    faces = [face for group in kinds.values() for face in group]
    columns = atlas()[0]
    face_count = np.array([len(group) for group in kinds.values()])
    corner_count = np.array([len(face.outline) for face in faces])
    return _Bank(
        {name: number for number, name in enumerate(kinds)},
        list(kinds).index("sash"),
        np.cumsum(face_count) - face_count,
        face_count,
        np.cumsum(corner_count) - corner_count,
        corner_count,
        np.concatenate([np.array(face.outline, np.float32) for face in faces]),
        np.array([(face.u, face.v, face.origin) for face in faces], np.float32),
        np.array([face.slots for face in faces]),
        np.array([face.metres for face in faces], np.float32),
        np.array([columns[face.tile] * PITCH + 0.5 for face in faces], np.float32),
        np.array([face.label for face in faces], np.uint8),
        np.array([face.solid for face in faces]),
        np.array([face.casts for face in faces]),
    )
