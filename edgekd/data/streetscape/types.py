"""What the files of this package hand each other: things, their faces, the camera and the light.

Axes are x right, y up, z forward, in metres. A *thing* is one placed prototype (a car, a tree); a prototype is a list of flat faces;
a face is an outline on a plane spanned by `u` (to the right) and `v` (up) as seen from outside.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]
Image = NDArray[np.uint8]

UNIT = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))

THING = np.dtype([("kind", "i4"), ("at", "f4", 3), ("size", "f4", 3), ("yaw", "f4"), ("paint", "f4", (5, 3)), ("velocity", "f4", 3)])
"""A placed prototype. `paint` slots 0–2 are lit surfaces, 3–4 (lamps, lit windows) also glow."""


class Camera(NamedTuple):
    """A pinhole camera: position, heading and downward pitch in radians, focal length in image widths."""

    x: float
    y: float
    z: float
    yaw: float
    pitch: float
    focal: float


class Light(NamedTuple):
    """Light and air of a scene; `sun` points towards the sun, `haze` is the distance at which 63 % of a colour is lost."""

    sun: Floats
    sun_rgb: Floats
    sky_rgb: Floats
    haze_rgb: Floats
    haze: float
    shadow: float
    glow: float


class Face(NamedTuple):
    """One flat face of a prototype, in units of the thing's size.

    Attributes:
        tile: Texture name.
        label: Class, or 255.
        origin: Where the plane's (0, 0) lies.
        u: The plane's first axis, to the right as seen from outside.
        v: The plane's second axis, upwards as seen from outside.
        outline: Corners in plane coordinates.
        slots: The three paints that the tile mixes.
        metres: Size of one texture repeat along u and v; 0 stretches the tile over the face.
        solid: Whether the face is invisible from behind.
        casts: Whether it throws a shadow.
    """

    tile: str
    label: int
    origin: tuple[float, float, float]
    u: tuple[float, float, float]
    v: tuple[float, float, float]
    outline: Sequence[tuple[float, float]] = UNIT
    slots: tuple[int, int, int] = (0, 1, 2)
    metres: tuple[float, float] = (0.0, 0.0)
    solid: bool = True
    casts: bool = False
