"""Prototypes: the shapes of all things that a scene can hold, each a few flat textured faces in units of the thing's size."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from edgekd.data.streetscape.classes import BUILDING, CAR, PAVEMENT, PEDESTRIAN, POLE, ROAD, SIGN, SKY, VEGETATION
from edgekd.data.streetscape.types import UNIT, Face
from edgekd_runtime.classes import IGNORE


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
