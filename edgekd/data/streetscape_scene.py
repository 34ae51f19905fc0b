"""A small deferred renderer for street scenes: flat textured faces under a pinhole camera, painted far to near. NumPy and OpenCV only.

Axes are x right, y up, z forward, in metres. A *thing* is one placed prototype (a car, a tree); a prototype is a list of flat faces;
a face is an outline on a plane spanned by `u` (to the right) and `v` (up) as seen from outside. Painting only writes face numbers, so
the label map is exact by construction; colour is then computed for all pixels at once from their face's plane, tile and paint.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.classes import IGNORE

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]
Image = NDArray[np.uint8]

SKY, BUILDING, ROAD, PAVEMENT, VEGETATION, CAR, PEDESTRIAN, POLE, SIGN = range(9)
TILE, LEVELS, PITCH = 128, 7, 130  # texels of a tile, its mip levels, and its place in the atlas with a wrapped border
NEAR, SHADOWS, SKY_HAZE = 0.4, 45.0, 2600.0  # metres: near plane, shadows this far, haze of the sky
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


# --- textures: luma (64 is 1.0) and the shares of the second and third paint ---------------------------------------------------------


@lru_cache(maxsize=1)
def atlas() -> tuple[dict[str, int], Image]:
    """Tile numbers by name, and all tiles side by side (mip levels downwards, each blown back up to full size)."""
    rng = np.random.default_rng(2203)
    u, v = np.meshgrid((np.arange(TILE) + 0.5) / TILE, (np.arange(TILE) + 0.5) / TILE)
    zero = np.zeros_like(u)

    def noise(sigma: float, amount: float) -> NDArray[np.float64]:
        field = cv2.GaussianBlur(np.pad(rng.normal(size=(TILE, TILE)), 48, mode="wrap"), (0, 0), sigma)[48:-48, 48:-48]
        return np.asarray(1 + amount * (field - field.mean()) / field.std())

    def box(u0: float, u1: float, v0: float, v1: float) -> NDArray[np.bool_]:
        return (u >= u0) & (u < u1) & (v >= v0) & (v < v1)

    def disc(cu: float, cv: float, ru: float, rv: float | None = None) -> NDArray[np.bool_]:
        return np.asarray(((u - cu) / ru) ** 2 + ((v - cv) / (rv or ru)) ** 2 < 1)

    def cells(count: float, spread: float) -> NDArray[np.float64]:
        values = rng.uniform(1 - spread, 1 + spread, (int(count) + 1, int(count) + 1))
        return np.asarray(values[(v * count).astype(int), (u * count).astype(int)])

    def bays(pane: tuple[float, ...], frame: float, grid: int, wall: NDArray[np.float64]) -> tuple[Any, Any, Any]:
        """A wall of `grid`² bays, each with a window `pane` (u0, u1, v0, v1), a frame and a sill."""
        s, t = u * grid % 1, v * grid % 1
        outer = (s > pane[0] - frame) & (s < pane[1] + frame) & (t > pane[2] - 1.6 * frame) & (t < pane[3] + frame)
        inner = (s > pane[0]) & (s < pane[1]) & (t > pane[2]) & (t < pane[3])
        bars = (abs(s - sum(pane[:2]) / 2) < 0.018) | (abs(t - (pane[2] + 2 * pane[3]) / 3) < 0.018)
        inner &= ~bars
        pane_luma = cells(grid, 0.5) * (0.7 + 0.6 * t)
        shade = np.where((t < pane[2]) & (t > pane[2] - 0.12) & (s > pane[0]) & (s < pane[1]), 0.8, 1.0)
        return np.where(inner, pane_luma, wall * shade), outer & ~inner, inner

    fine, rough = noise(0.6, 0.07), noise(9, 0.06) * noise(2, 0.05)
    grain = fine * rough
    brick = np.where((v * 32 % 1 < 0.22) | ((u * 12 + 0.5 * np.floor(v * 32 % 2)) % 1 < 0.1), 0.82, 1.0) * cells(32, 0.12) * grain
    slab = np.where((u * 4 % 1 < 0.05) | (v * 4 % 1 < 0.05), 0.72, 1.0) * cells(4, 0.08) * grain
    asphalt = grain * noise(0.8, 0.07) * noise(14, 0.05)
    tracks = asphalt * (1 - 0.09 * sum(np.exp(-(((u - c) / 0.035) ** 2)) for c in (0.2, 0.36, 0.64, 0.8)))
    worn = noise(2, 0.25) > 0.72
    leaves = noise(1.2, 0.22) * noise(4, 0.22)
    round_ = 0.55 + 0.75 * np.sqrt(np.clip(1 - ((u - 0.4) / 0.65) ** 2, 0, 1))
    wheel = disc(0.2, 0.3, 0.078, 0.3) | disc(0.8, 0.3, 0.078, 0.3)
    hub = disc(0.2, 0.3, 0.045, 0.17) | disc(0.8, 0.3, 0.045, 0.17)
    sill = v < 0.46
    lamp = box(0.02, 0.2, 0.55, 0.85) | box(0.8, 0.98, 0.55, 0.85)
    plate = box(0.36, 0.64, 0.3, 0.46)
    fascia = np.where(plate, 4.5, 1.0) * np.where(v < 0.12, 0.7, 1.0)
    radius = np.hypot(u - 0.5, v - 0.5) * 2
    legs, head = v < 0.47, v > 0.855
    hands = ((abs(u - 0.5) > 0.27) & (v < 0.5) & (v > 0.4)) | (head & (v < 0.95))
    bulbs = disc(0.5, 0.8, 0.3, 0.11), disc(0.5, 0.5, 0.3, 0.11), disc(0.5, 0.2, 0.3, 0.11)
    shutter = np.asarray(((u * 2 % 1 > 0.12) & (u * 2 % 1 < 0.26)) | ((u * 2 % 1 > 0.74) & (u * 2 % 1 < 0.88)))
    shutter &= (v * 2 % 1 > 0.25) & (v * 2 % 1 < 0.8)
    plaster = bays((0.28, 0.72, 0.27, 0.78), 0.03, 2, grain)
    balcony = (v * 2 % 1 < 0.26) & (v * 2 % 1 > 0.04)
    french = bays((0.25, 0.75, 0.08, 0.8), 0.03, 2, grain)
    cloud = np.clip((noise(11, 0.5) * noise(5, 0.2) - 0.85) * 1.3, 0, 1)
    tiles: dict[str, tuple[Any, Any, Any]] = {
        "plain": (grain, zero, zero),
        "asphalt": (asphalt, zero, zero),
        "road": (tracks, worn & ((box(0.492, 0.508, 0, 0.42)) | (abs(abs(u - 0.5) - 0.475) < 0.008)), zero),
        "avenue": (tracks, worn & ((abs(abs(u - 0.5) - 0.014) < 0.006) | ((abs(abs(u - 0.5) - 0.27) < 0.007) & (v < 0.3))), zero),
        "zebra": (asphalt, worn & (u * 9 % 1 < 0.5), zero),
        "slabs": (slab, zero, zero),
        "kerb": (grain * (0.7 + 0.5 * v), zero, zero),
        "grass": (noise(0.8, 0.14) * noise(5, 0.12), zero, zero),
        "brick": (brick, zero, zero),
        "sash": bays((0.3, 0.7, 0.25, 0.78), 0.045, 2, brick),
        "arched": bays((0.34, 0.66, 0.14, 0.86), 0.06, 2, slab),
        "shutters": (plaster[0], plaster[1] | shutter, plaster[2]),
        "balcony": (np.where(balcony, 0.75 + 0.4 * (u * 24 % 1 < 0.3), french[0]), french[1] | balcony, french[2] & ~balcony),
        "bands": bays((0.0, 1.0, 0.32, 0.8), 0.05, 2, grain),
        "glazed": bays((0.04, 0.96, 0.06, 0.9), 0.04, 3, grain),
        "shop": (
            np.where(box(0.06, 0.94, 0.1, 0.68), 0.6 + 0.9 * cells(6, 0.4) * v, grain * np.where(box(0.15, 0.6, 0.8, 0.9), 1.5, 1.0)),
            (v > 0.74) | box(0.68, 0.92, 0, 0.7) & ~box(0.7, 0.9, 0.2, 0.66),
            box(0.06, 0.94, 0.1, 0.68) & ~box(0.66, 0.7, 0, 1) & ~box(0.34, 0.36, 0, 1),
        ),
        "roof": (grain * (0.8 + 0.35 * (v * 14 % 1)) * cells(14, 0.12), zero, zero),
        "leaf": (leaves * (0.62 + 0.55 * v), zero, zero),
        "hedge": (noise(1.2, 0.2) * noise(3, 0.12) * (0.75 + 0.35 * v), zero, zero),
        "trunk": (round_ * noise(1.5, 0.12), zero, zero),
        "pole": (round_, zero, zero),
        "side": (np.where(hub, 3.5, np.where(abs(v - 0.85) < 0.03, 0.75, 0.85 + 0.2 * v)), sill | wheel, zero),
        "cabin": (0.8 + 0.5 * v, zero, (v > 0.1) & (v < 0.88) & (abs((u * 4.3 + 0.35) % 1 - 0.5) < 0.46)),
        "glass": (0.75 + 0.5 * v, zero, box(0.07, 0.93, 0.08, 0.94)),
        "panel": (np.where(lamp, 1.2, fascia), (v < 0.22) | plate | box(0.3, 0.7, 0.56, 0.76), lamp),
        "walker": (np.where(head & (v > 0.95), 0.4, np.where(v < 0.035, 0.3, 0.7 + 0.5 * round_) * noise(3, 0.1)), legs, hands),
        "ring": (zero + 1, radius > 0.74, (abs(u - 0.5) < 0.09) & (abs(v - 0.5) < 0.25) | disc(0.5, 0.62, 0.17)),
        "bar": (zero + 1, (abs(v - 0.5) < 0.1) & (abs(u - 0.5) < 0.34), zero),
        "board": (zero + 1, ~box(0.05, 0.95, 0.08, 0.92), (v * 4 % 1 > 0.35) & (v * 4 % 1 < 0.7) & box(0.14, 0.8, 0.12, 0.9)),
        "lights": (np.where(bulbs[1], 0.35, 1.0), bulbs[0] | bulbs[1], bulbs[2]),
        "cloud": (zero + 1, cloud, zero),
        "city": (cells(24, 0.3), zero, zero),
    }
    sheet = np.zeros((LEVELS * PITCH, len(tiles) * PITCH, 4), np.uint8)  # four channels: OpenCV remaps them twice as fast as three
    for column, (luma, second, third) in enumerate(tiles.values()):
        tile = np.dstack([luma * 64, second * 255.0, third * (1.0 - second) * 255.0]).clip(0, 255).astype(np.float32)
        for level in range(LEVELS):
            small = cv2.resize(tile, (TILE >> level, TILE >> level), interpolation=cv2.INTER_AREA)
            padded = np.pad(small, ((1, 1), (1, 1), (0, 0)), mode="wrap")
            scale = 1 << level
            big = cv2.resize(padded, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)[scale - 1 :, scale - 1 :][:PITCH, :PITCH]
            sheet[level * PITCH : (level + 1) * PITCH, column * PITCH : (column + 1) * PITCH, :3] = big.round()
    return {name: number for number, name in enumerate(tiles)}, sheet


# --- prototypes ----------------------------------------------------------------------------------------------------------------------


def _ngon(count: int, turn: float = 0.0) -> list[tuple[float, float]]:
    angle = 2 * np.pi * (np.arange(count) / count + turn)
    return [(0.5 + 0.5 * float(c), 0.5 + 0.5 * float(s)) for c, s in zip(np.cos(angle), np.sin(angle), strict=True)]


def _upright(tile: str, label: int, x: tuple[float, float], y: tuple[float, float], z: float = 0.0, **more: Any) -> Face:
    """A rectangle across the street, seen from both sides unless told otherwise."""
    return Face(tile, label, (x[0], y[0], z), (x[1] - x[0], 0, 0), (0, y[1] - y[0], 0), **{"solid": False, **more})


def _flat(tile: str, label: int, y: float = 0.0, **more: Any) -> Face:
    return Face(tile, label, (0, y, 0), (1, 0, 0), (0, 0, 1), **more)


def _block(front: str, end: str, label: int, eaves: float = 1.0, metres: float = 0.0) -> list[Face]:
    """A box over x, z in [0, 1] whose front faces the street (−x); eaves below 1 make it a pitched roof with gables."""
    gable = [(0.0, 0.0), (1.0, 0.0), (1.0, eaves), (0.5, 1.0), (0.0, eaves)] if eaves < 1 else UNIT
    return [
        Face(end, label, (1, 0, 1), (-1, 0, 0), (0, 1, 0), gable, metres=(metres, metres)),
        Face(end, label, (0, 0, 0), (1, 0, 0), (0, 1, 0), gable, metres=(metres, metres)),
        Face(front, label, (0, 0, 1), (0, 0, -1), (0, eaves, 0), slots=(0, 1, 3), metres=(metres, metres), casts=True),
        Face("roof", label, (-0.03, eaves - 0.01, 1), (0, 0, -1), (0.53, 1.01 - eaves, 0), slots=(1, 1, 1), metres=(4, 0)),
    ]


def _car(chain: Sequence[tuple[float, float]], belt: float) -> list[Face]:
    """A body extruded from its side view: `chain` runs from the rear bumper over the roof to the front one, as (z, y)."""

    def half(y: float) -> float:
        return 0.5 - 0.11 * max(0.0, (y - belt) / (1 - belt))

    # Two that face the ground are there for the shadow only; then the tyres as seen from the front and the back.
    faces = [Face("plain", CAR, (-w, y, -z), (0, 0, 1.8 * z), (2 * w, 0, 0), casts=True) for w, y, z in ((0.5, 0.3, 0.5), (0.4, 0.95, 0.3))]
    faces += [_upright("plain", CAR, (x - 0.08, x + 0.08), (0, 0.3), z, slots=(1, 1, 1)) for z in (0.42, -0.42) for x in (-0.4, 0.4)]
    for number, ((z0, y0), (z1, y1)) in enumerate(pairwise(chain)):
        outline = [(0.5 - half(y0), 0.0), (0.5 + half(y0), 0.0), (0.5 + half(y1), 1.0), (0.5 - half(y1), 1.0)]
        if number == 0:
            faces.append(Face("panel", CAR, (-0.5, y0, z0), (1, 0, 0), (0, y1 - y0, z1 - z0), outline, (0, 1, 4)))
        elif number == len(chain) - 2:
            faces.append(Face("panel", CAR, (0.5, y1, z1), (-1, 0, 0), (0, y0 - y1, z0 - z1), outline, (0, 1, 3)))
        else:
            tile = "glass" if max(y0, y1) > belt + 0.1 and abs(y1 - y0) > 0.2 else "plain"
            faces.append(Face(tile, CAR, (-0.5, y0, z0), (1, 0, 0), (0, y1 - y0, z1 - z0), outline))
    wheel = ((0.08, 0.2), (0.065, 0.06), (0.03, 0.0), (-0.03, 0.0), (-0.065, 0.06), (-0.08, 0.2))
    lower = [(z, y / belt) for z, y in [*(p for p in chain if p[1] <= belt), *((c + dz, y) for c in (0.3, -0.3) for dz, y in wheel)]]
    upper = [(z, (y - belt) / (1 - belt)) for z, y in chain if y >= belt]
    for side in (1.0, -1.0):
        for tile, points, y, v in (("side", lower, 0.0, (0, belt, 0)), ("cabin", upper, belt, (-0.11 * side, 1 - belt, 0))):
            outline = [(0.5 + side * z, t) for z, t in points]
            faces.append(Face(tile, CAR, (0.5 * side, y, -0.5 * side), (0, 0, side), v, outline, casts=side > 0))
    return faces


def _walker(stride: float) -> list[Face]:
    right = [(0.62, 0.86), (0.7, 0.82), (0.8, 0.74), (0.85, 0.58 + stride), (0.82, 0.42), (0.76, 0.42), (0.7, 0.56)]
    leg = [(0.7, 0.3), (0.66 + stride, 0.03), (0.7 + stride, 0.0), (0.52 + stride, 0.0), (0.5, 0.42)]
    other = [(0.48 - stride, 0.0), (0.3 - stride, 0.0), (0.34 - stride, 0.03), (0.3, 0.3)]
    left = [(1 - u, v + (0.0 if i != 3 else -2 * stride)) for i, (u, v) in reversed(list(enumerate(right)))]
    head = [(0.5 + 0.19 * np.cos(a), 0.925 + 0.075 * np.sin(a)) for a in np.linspace(3.9, -0.8, 7)]
    return [_upright("walker", PEDESTRIAN, (-0.5, 0.5), (0, 1), outline=[*head, *right, *leg, *other, *left], casts=True)]


def _tree(rng: np.random.Generator, blobs: int, spread: float, low: float) -> list[Face]:
    def blob(x: float, y: float, r: float, z: float, casts: bool = False) -> Face:
        count = 20
        reach = 1 + 0.13 * rng.standard_normal(count) + 0.1 * np.sin(np.arange(count) * rng.integers(2, 5))
        outline = [(0.5 + (u - 0.5) * k, 0.5 + (v - 0.5) * k) for (u, v), k in zip(_ngon(count), reach, strict=True)]
        return _upright("leaf", VEGETATION, (x - r, x + r), (y - r * 0.9, y + r * 0.9), z, outline=outline, casts=casts)

    tilt = float(rng.uniform(-0.04, 0.04))
    trunk = Face("trunk", VEGETATION, (-0.035, 0, 0), (0.07, 0, 0), (tilt, (low + 1) / 2, 0), slots=(1, 1, 1), solid=False, casts=True)
    crown = []
    for z in np.linspace(0.3, -0.3, blobs):
        r = float(rng.uniform(0.16, 0.25)) + 0.1 * (1 - low) / blobs
        crown.append(blob(float(rng.uniform(-spread, spread)), float(rng.uniform(low + r * 0.7, 1 - r * 0.8)), r, float(z), abs(z) < 0.2))
    return [trunk, blob(0.0, (1 + low) / 2, (1 - low) * 0.42, 0.35, True), *crown]


def _conifer(rng: np.random.Generator) -> list[Face]:
    def tier(y: float, width: float, height: float) -> Face:
        skirt = [(float(u), float(rng.uniform(0, 0.14))) for u in np.linspace(0, 1, 9)]
        outline = [*skirt, (0.52, 1.0), (0.48, 1.0)]
        return _upright("leaf", VEGETATION, (-width, width), (y, y + height), -0.1 * y, outline=outline, casts=True)

    trunk = _upright("trunk", VEGETATION, (-0.04, 0.04), (0, 0.3), slots=(1, 1, 1))
    return [trunk, *(tier(0.1 + 0.23 * i, 0.5 - 0.12 * i, 0.44 - 0.03 * i) for i in range(4))]


def _sign(tile: str, outline: Sequence[tuple[float, float]], x: float, y: tuple[float, float]) -> list[Face]:
    pole = _upright("pole", POLE, (-0.045, 0.045), (0, y[1] - 0.02), slots=(4, 4, 4), casts=True)
    return [pole, _upright(tile, SIGN, (-x, x), y, -0.05, outline=outline, casts=True)]


def _skyline(rng: np.random.Generator, label: int, tile: str) -> list[Face]:
    wave = 0.5 + 0.3 * np.sin(np.arange(48) * 0.4) + rng.uniform(0, 0.1, 48)
    height = np.repeat(rng.uniform(0.25, 1.0, 24), 2) if label == BUILDING else wave
    edges = np.repeat(np.linspace(0, 1, 25), 2)[1:-1]
    outline = [(0.0, 0.0), *((float(u), float(v)) for u, v in zip(edges, height, strict=True)), (1.0, 0.0)]
    return [_upright(tile, label, (-0.5, 0.5), (0, 1), outline=outline, metres=(30, 30))]


@lru_cache(maxsize=1)
def prototypes() -> dict[str, list[Face]]:
    """All things that a scene can hold, by name. Those before "sash" lie on the ground and are painted in the given order."""
    rng = np.random.default_rng(417)
    lamp = [
        _upright("pole", POLE, (-0.075, 0.075), (0, 1), casts=True),
        _upright("plain", POLE, (-1.6, 0.0), (0.975, 0.99)),
        _upright("plain", POLE, (-1.9, -1.2), (0.955, 0.98), slots=(3, 3, 3)),
    ]
    semaphore = [_upright("pole", POLE, (-0.07, 0.07), (0, 1)), _upright("lights", SIGN, (-0.2, 0.2), (0.72, 1.0), -0.1, slots=(0, 1, 3))]
    kerb = Face("kerb", PAVEMENT, (0, 0, 1), (0, 0, -1), (0, 1, 0), slots=(1, 1, 1))
    bonnet = [(0, 0), (1, 0), (1, 0.6), (0.9, 0.85), (0.72, 1), (0.28, 1), (0.1, 0.85), (0, 0.6)]
    flat_roofs = {"arched": "sash", "balcony": "plain", "bands": "bands", "glazed": "glazed"}
    return {
        "sky": [Face("cloud", SKY, (-1, 1, -1), (2, 0, 0), (0, 0, 2), metres=(900, 900), solid=False)],
        "ground": [_flat("grass", VEGETATION, metres=(8, 8))],
        "road": [_flat("road", ROAD, metres=(0, 8))],
        "avenue": [_flat("avenue", ROAD, metres=(0, 8))],
        "lane": [_flat("asphalt", ROAD, metres=(6, 6))],
        "patch": [_flat("asphalt", ROAD, metres=(3, 3))],
        "zebra": [_flat("zebra", ROAD)],
        "pavement": [_flat("slabs", PAVEMENT, 1.0, metres=(3, 3)), kerb],
        "sash": _block("sash", "brick", BUILDING, 0.78, 6),
        "shutters": _block("shutters", "brick", BUILDING, 0.78, 6),
        **{front: _block(front, end, BUILDING, metres=6) for front, end in flat_roofs.items()},
        "shop": [Face("shop", BUILDING, (0, 0, 1), (0, 0, -1), (0, 1, 0), slots=(0, 1, 3), metres=(5, 0))],
        "hedge": [face._replace(slots=(0, 0, 0)) for face in _block("hedge", "hedge", VEGETATION, metres=2)],
        "bin": [face._replace(slots=(0, 0, 0)) for face in _block("kerb", "kerb", IGNORE)],
        "tree0": _tree(rng, 5, 0.3, 0.35),
        "tree1": _tree(rng, 7, 0.34, 0.4),
        "tree2": _tree(rng, 4, 0.2, 0.25),
        "tree3": _tree(rng, 6, 0.3, 0.45),
        "tree4": _conifer(rng),
        "lamp": lamp,
        "semaphore": semaphore,
        "disc": _sign("ring", _ngon(12), 0.36, (0.74, 1.0)),
        "stop": _sign("bar", _ngon(8, 1 / 16), 0.38, (0.73, 1.0)),
        "warning": _sign("ring", [(0, 0.02), (1, 0.02), (0.5, 1.0)], 0.42, (0.73, 1.0)),
        "square": _sign("ring", UNIT, 0.32, (0.75, 1.0)),
        "board": _sign("board", UNIT, 0.75, (0.7, 1.0)),
        "sedan": _car([(-0.5, 0.24), (-0.5, 0.58), (-0.36, 0.62), (-0.22, 0.97), (0.06, 1), (0.24, 0.62), (0.47, 0.54), (0.5, 0.24)], 0.62),
        "hatch": _car([(-0.5, 0.24), (-0.5, 0.62), (-0.42, 0.95), (0.04, 1), (0.25, 0.62), (0.47, 0.54), (0.5, 0.24)], 0.62),
        "van": _car([(-0.5, 0.2), (-0.5, 0.5), (-0.48, 1), (0.25, 1), (0.4, 0.5), (0.49, 0.44), (0.5, 0.2)], 0.5),
        **{f"walker{step}": _walker(stride) for step, stride in enumerate((0.0, 0.09, 0.0, -0.09))},
        **{f"skyline{number}": _skyline(rng, BUILDING, "city") for number in range(3)},
        "hills": _skyline(rng, VEGETATION, "leaf"),
        "bonnet": [Face("glass", IGNORE, (-0.5, 0, 0), (1, 0, 0), (0, 0, 1), bonnet, (0, 0, 0))],
    }


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


# --- rendering -----------------------------------------------------------------------------------------------------------------------


def _spans(start: Ints, count: Ints) -> tuple[Ints, Ints]:
    """The indices start … start + count of every row, in one array, and the row each belongs to."""
    owner = np.repeat(np.arange(len(count)), count)
    return np.arange(len(owner)) - (np.cumsum(count) - count - start)[owner], owner


def _cross(a: Floats, b: Floats) -> Floats:
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)


def _order(low: Floats, high: Floats) -> list[int]:
    """Paint order of boxes seen from the origin: whoever can hide another comes later.

    A plane between two boxes decides: the box on the eye's side cannot be hidden by the other. Boxes that no axis separates go by distance.
    """
    under = np.zeros((len(low), len(low)), bool)  # under[i, j]: i cannot hide j
    for near, far in zip(low.T, high.T, strict=True):
        below = far[:, None] <= near
        under |= below & (far <= 0)[:, None]
        under |= (below & (near >= 0)).T
    after = (under & ~under.T) * 1e6  # after[i, j]: j must wait for i
    score = np.linalg.norm(low + high, axis=1) - after.sum(0)
    order = []
    for _ in range(len(low)):
        pick = int(score.argmax())
        order.append(pick)
        score += after[pick]
        score[pick] = -np.inf
    return order


def _project(points: Floats, owner: Ints, focal: float, size: tuple[int, int]) -> tuple[Ints, list[NDArray[np.int32]]]:
    """Cut polygons at the near plane and project them.

    Args:
        points: Corners in camera axes, polygon after polygon.
        owner: The polygon that each belongs to.
        focal: Focal length in pixels.
        size: Height and width of the image.

    Returns:
        The polygons on screen, and their corners in sixteenths of a pixel.
    """
    ahead = points[:, 2] > NEAR
    if not ahead.any():
        return owner[:0], []
    first = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    following = np.arange(1, len(points) + 1)
    following[first - 1] = np.roll(first, 1)
    cut = np.flatnonzero(ahead != ahead[following])
    here, there = points[cut], points[following[cut]]
    copies = ahead.astype(np.intp)
    copies[cut] += 1
    points, owner = np.repeat(points, copies, axis=0), np.repeat(owner, copies)
    points[np.cumsum(copies)[cut] - 1] = here + (there - here) * ((here[:, 2:] - NEAR) / (here[:, 2:] - there[:, 2:]))
    centre = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2], np.float32)
    pixels = points[:, :2] * (np.array([focal, -focal], np.float32) / points[:, 2:]) + centre
    first = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    low, high = np.minimum.reduceat(pixels, first), np.maximum.reduceat(pixels, first)
    visible = (high > -1).all(1) & (low < 2 * centre + 1).all(1) & ((high - low).prod(1) > 2)
    corners = np.rint(pixels.clip(-4e4, 4e4) * 16).astype(np.int32)
    spans = zip(first[visible].tolist(), np.append(first[1:], len(owner))[visible].tolist(), strict=True)
    return owner[first[visible]], [corners[start:end] for start, end in spans]


def render(things: NDArray[np.void], camera: Camera, light: Light, size: tuple[int, int]) -> tuple[Image, Image]:
    """Draw things: the sky first, then what lies on the ground in the order given, then whatever stands in any order.

    Returns:
        Image, uint8 H×W×3 with 200 for 1.0, and its exact label map.
    """
    store = bank()
    focal = camera.focal * size[1]
    cy, sy, cp, sp = np.cos(camera.yaw), np.sin(camera.yaw), np.cos(camera.pitch), np.sin(camera.pitch)
    view = np.array([[cy, sp * sy, cp * sy], [0, cp, -sp], [-sy, sp * cy, cp * cy]], np.float32)

    # The faces of all things: u, v and origin in the world, relative to the eye; of interest if seen or throwing a shadow nearby.
    kind = things["kind"]
    face, thing = _spans(store.face_start[kind], store.face_count[kind])
    local = store.basis[face] * things["size"][thing, None]
    cos, sin = np.cos(things["yaw"])[thing, None], np.sin(things["yaw"])[thing, None]
    basis = np.stack([local[..., 0] * cos + local[..., 2] * sin, local[..., 1], local[..., 2] * cos - local[..., 0] * sin], 2)
    basis[:, 2] += (things["at"] - np.array([camera.x, camera.y, camera.z], np.float32))[thing]
    seen = ~store.solid[face] | (np.einsum("ij,ij->i", _cross(basis[:, 1], basis[:, 0]), basis[:, 2]) < 0)
    casts = store.casts[face] & (basis[:, 2, 2] < SHADOWS)
    use = np.flatnonzero(seen | casts)
    face, thing, basis, seen, casts = face[use], thing[use], basis[use], seen[use], casts[use]
    corner, owner = _spans(store.corner_start[face], store.corner_count[face])
    uv, spread = store.corners.take(corner, axis=0), np.repeat(basis, store.corner_count[face], axis=0)
    points = uv[:, :1] * spread[:, 0] + uv[:, 1:] * spread[:, 1] + spread[:, 2]

    # Painter's algorithm on numbers, 0 for the sky.
    drawn = seen[owner] & (owner > 0)
    shown, polygons = _project((points @ view)[drawn], owner[drawn], focal, size)
    upright = np.unique(thing[shown])
    upright = upright[kind[upright] >= store.grounds]
    starts = np.searchsorted(thing[owner], np.arange(len(things)))
    padded = np.append(points, points[-1:], axis=0)  # a thing at the end may have no corners left
    low, high = np.minimum.reduceat(padded, starts)[upright], np.maximum.reduceat(padded, starts)[upright]
    rank = np.arange(len(things))
    rank[upright[_order(low, high)]] = len(things) + np.arange(len(upright))
    queue = np.argsort(rank[thing[shown]], kind="stable")
    numbers = np.zeros(size, np.int32)
    for number, position in enumerate(queue.tolist(), 1):
        cv2.fillPoly(numbers, [polygons[position]], (number,), shift=4)
    shown = np.append(0, shown[queue])

    # Shadows fall on the ground and stay there.
    thrown = casts[owner]
    fallen = points[thrown] - (points[thrown, 1:2] + np.float32(camera.y)) * (light.sun / light.sun[1])
    shade = np.zeros(size, np.uint8)
    for polygon in _project(fallen @ view, owner[thrown], focal, size)[1]:
        cv2.fillPoly(shade, [polygon], (255,), shift=4)
    lying = int(np.count_nonzero(kind[thing[shown[1:]]] < store.grounds))
    shade = np.asarray(cv2.blur(shade, (3, 3)) & cv2.inRange(numbers, 1, lying))

    planes = _planes(face[shown], basis[shown] @ view, focal, light)
    colours = _colours(face[shown], basis[shown], things["paint"][thing[shown]], light)
    image = np.empty((*size, 3), np.uint8)
    step = max(1, 8192 // size[1])
    for top in range(0, size[0], step):
        part = slice(top, top + step)
        image[part] = _shade(numbers[part], shade[part], planes, colours, top - (size[0] - 1) / 2, light)
    return image, store.label[face[shown]][numbers]


def _planes(face: Ints, basis: Floats, focal: float, light: Light) -> Floats:
    """Three quadruples a face: rows that give (u, v, 1) / depth of a pixel as their product with (x, y, 1); behind them, tile and air."""
    store = bank()
    u, v, origin = basis.transpose(1, 0, 2)
    rows = np.stack([_cross(v, origin), _cross(origin, u), _cross(u, v)])
    volume = np.einsum("ij,ij->i", rows[2], origin)
    rows /= np.where(abs(volume) > 1e-9, volume, 1e-9)[:, None]
    metres, extent = store.metres[face].T, np.sqrt(np.einsum("ijk,ijk->ij", basis, basis)).T[:2]
    rows[:2] *= np.where(metres > 0, np.rint(extent / np.maximum(metres, 0.01)).clip(1), 1)[:, :, None]
    planes = np.zeros((3, len(face), 4), np.float32)
    planes[..., :3] = rows * np.array([1 / focal, -1 / focal, 1], np.float32)
    planes[0, :, 3], planes[1, :, 3] = store.column[face], -1 / light.haze
    planes[1, 0, 3] = -1 / SKY_HAZE
    return planes


def _colours(face: Ints, basis: Floats, paint: Floats, light: Light) -> Floats:
    """The paints of every face in its light, in 8 × 4 mixes: that is how finely the second and third paint's shares are told apart."""
    store = bank()
    normal = _cross(basis[:, 1], basis[:, 0])
    normal /= np.sqrt(np.einsum("ij,ij->i", normal, normal))[:, None] + np.float32(1e-9)
    lambert = np.where(store.solid[face], (normal @ light.sun).clip(0), np.float32(0.55))
    lit = light.sky_rgb * (0.8 + 0.2 * normal[:, 1:2]) + light.sun_rgb * lambert[:, None]
    slots = store.slots[face]
    glowing = np.where(slots[:, :, None] >= 3, np.maximum(lit, light.glow)[:, None], lit[:, None])
    glowing[0] = 1  # the sky
    paint = paint[np.arange(len(face))[:, None], slots] * glowing
    second, third = np.repeat(np.linspace(0, 1, 8), 4), np.tile(np.linspace(0, 1, 4), 8)
    mixes = 200 * np.array([(1 - second - third).clip(0), second, third], np.float32)
    colours = np.zeros((len(face), 32, 4), np.float32)
    colours[..., :3] = (paint.transpose(0, 2, 1).reshape(-1, 3) @ mixes).reshape(-1, 3, 32).transpose(0, 2, 1)
    return colours


def _shade(numbers: NDArray[np.int32], shade: Image, planes: Floats, colours: Floats, top: float, light: Light) -> Image:
    """Colour a strip of pixels; strips are small enough for the cache. Four floats are gathered at a time, as one complex number."""
    height, width = numbers.shape
    index = numbers.astype(np.intp)

    def gather(table: Floats, rows: Ints) -> Floats:
        quads = np.take(table.view(np.complex128), rows).view(np.float32).reshape(height, width, 4)
        return np.ascontiguousarray(quads.transpose(2, 0, 1))

    x = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
    y = (np.arange(height, dtype=np.float32) + np.float32(top))[:, None]
    (ux, uy, u, column), (vx, vy, v, rate), (wx, wy, w, _) = (gather(plane, index) for plane in planes)
    depth = 1 / np.maximum(wx * x + wy * y + w, np.float32(1e-5))
    u, v = (ux * x + uy * y + u) * depth, (vx * x + vy * y + v) * depth
    step = cv2.log(np.maximum(abs(ux - u * wx), abs(vy - v * wy)) * depth)
    level = np.floor(step * np.float32(1 / np.log(2)) + np.float32(np.log2(TILE * 1.4))).clip(0, LEVELS - 1)
    map_x, map_y = (u - np.floor(u)) * TILE + column, (v - np.floor(v)) * TILE + (level * PITCH + np.float32(0.5))
    luma, second, third, _ = cv2.split(cv2.remap(atlas()[1], map_x, map_y, cv2.INTER_LINEAR))
    clear = cv2.exp(depth * rate)
    luma = luma * clear * (np.float32(1 / 64) - np.float32(light.shadow / 64 / 255) * shade)
    mixed = gather(colours, index * 32 + ((second >> 5 << 2) | (third >> 6)))
    air = 200 - 200 * clear
    return np.asarray(cv2.merge([cv2.convertScaleAbs(mixed[c] * luma + air * light.haze_rgb[c]) for c in range(3)]), np.uint8)
