"""What lines a street: the sorts of things that stand or move there, and the places that each has on a block."""

from functools import lru_cache
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from edgekd.data.streetscape.bank import bank
from edgekd.data.streetscape.paints import DRESS

BLOCK = 96.0  # metres


class _Slot(NamedTuple):
    """A sort of thing that lines the street: where it stands, how large it is, how often it is there. Pairs are a start and a range.

    Attributes:
        kinds: First and last prototype to choose from, or the only one.
        dress: First and last of `DRESS` to choose from, or the only one.
        places: How many a side and block.
        style: The trait of the world that says how many of them are taken.
        chance: A factor on it.
        metres: Distance from the kerb.
        walk: The same in pavement widths, added to it.
        low: Smallest size.
        high: Largest size.
        z: Shift and jitter along the street, in places.
        faces: Heading: 0 along the street, 1 towards it, 2 with the traffic, 3 against it.
        pace: Velocity along the street.
        lift: Height of its foot.
        shared: Whether all of a world look alike.
    """

    kinds: tuple[str, ...]
    dress: tuple[str, ...]
    places: int
    style: str
    chance: float
    metres: tuple[float, float]
    walk: tuple[float, float]
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    z: tuple[float, float] = (0.0, 0.5)
    faces: int = 1
    pace: tuple[float, float] = (0.0, 0.0)
    lift: float = 0.0
    shared: bool = False


PLOTS = 8
_CARS, _SMALL, _LARGE = ("sedan", "van"), (1.75, 1.42, 4.0), (1.9, 1.6, 4.8)
_TREES, _HUMAN = ("tree0", "tree4"), (0.64, 1.9, 0.3)
_SLOTS = {
    "house": _Slot(("sash", "glazed"), ("house",), PLOTS, "built", 1, (0, 0), (1, 0), (8, 0.6, 1), (12, 1.5, 1)),
    "shop": _Slot(("shop",), ("house",), PLOTS, "shops", 1, (-0.06, 0), (1, 0), (1, 3.6, 1), (1, 4, 1)),
    "hedge": _Slot(("hedge",), ("tree",), PLOTS, "always", 1, (0, 0), (1, 0), (0.8, 0.9, 1), (1.2, 2.4, 1)),
    "yard": _Slot(_TREES, ("tree",), PLOTS, "always", 1, (2.5, 5), (1, 0), (4, 5, 3), (6, 10, 3), (0, 0.6)),
    "row": _Slot(("bands",), ("house",), 1, "always", 1, (24, 0), (1, 0), (8, 0.8, BLOCK), (8, 1.5, BLOCK)),
    "tree": _Slot(_TREES, ("tree",), 9, "green", 1, (0.9, 0), (0, 0), (3, 4.5, 3), (5, 8.5, 3), (0, 0.3)),
    "lamp": _Slot(("lamp",), ("pole",), 4, "always", 0.9, (0.4, 0), (0, 0), (1, 6.5, 1), (1, 6.5, 1), (0.25, 0.15), shared=True),
    "sign": _Slot(("disc", "board"), ("red sign", "blue sign"), 5, "always", 1, (0.5, 0.3), (0, 0), (1, 2.3, 1), (1, 3, 1), (0, 0.9), 0),
    "stop": _Slot(("semaphore",), ("semaphore",), 1, "always", 1, (0.5, 0), (0, 0), (1, 2.9, 1), (1, 3.6, 1), (-0.16, 0.01), 0),
    "bin": _Slot(("bin",), ("litter",), 3, "always", 0.45, (0.9, 0.2), (0, 0), (0.5, 0.9, 0.5), (0.6, 1.2, 0.6), (0, 0.8), lift=0.13),
    "parked": _Slot(_CARS, ("car",), 13, "parked", 1, (-1.2, 0.1), (0, 0), _SMALL, _LARGE, (0, 0.12), 2),
    "traffic": _Slot(_CARS, ("car",), 3, "busy", 1, (0, 0), (0, 0), _SMALL, _LARGE, (0, 0.6), 3, (-11, 4)),
    "walker": _Slot(("walker0",), ("person",), 12, "busy", 1, (1.3, -1.7), (0, 1), (0.5, 1.5, 0.3), _HUMAN, (0, 1), 0, (-1.4, 2.8), 0.1),
    "crosser": _Slot(("walker0",), ("person",), 2, "always", 0.6, (-1, 3), (0, 0), (0.4, 1.2, 0.3), _HUMAN, (-0.3, 0.05), 0, lift=0.1),
}
STYLES = {"always": (1, 1), "built": (0.6, 0.97), "shops": (0, 0.8), "green": (0.25, 0.8), "parked": (0.15, 0.75), "busy": (0.4, 0.9)}
ZEBRA, CROSSING = 32.0, 42.0  # where they are in a block that has them; the crossing takes the place of the plot there
PIECES = ("road", "patch", "patch", "patch", "lane", "zebra", "pavement", "pavement", "pavement", "pavement")


@lru_cache(maxsize=1)
def places() -> SimpleNamespace:
    """The places of a block, right side and left, as columns named like the fields of `_Slot`; `rows` finds those of a slot."""
    slots = list(_SLOTS.values())
    counts = np.array([2 * slot.places for slot in slots])
    ends = np.cumsum(counts)
    plan = SimpleNamespace(rows={name: slice(int(end - n), int(end)) for name, end, n in zip(_SLOTS, ends, counts, strict=True)})
    for field in _Slot._fields[2:]:
        setattr(plan, field, np.repeat([getattr(slot, field) for slot in slots], counts, axis=0))
    for field, numbers in (("kinds", bank().kinds), ("dress", {name: number for number, name in enumerate(DRESS)})):
        ranges = [(numbers[names[0]], numbers[names[-1]] + 1 - numbers[names[0]]) for names in (getattr(slot, field) for slot in slots)]
        setattr(plan, field, np.repeat(ranges, counts, axis=0))
    plan.trait = np.array([list(STYLES).index(name) for name in plan.style])
    plan.side = np.concatenate([np.repeat([1.0, -1.0], slot.places) for slot in slots])
    place = np.concatenate([np.tile(np.arange(slot.places) + 0.5, 2) for slot in slots])
    plan.z_low, plan.z_range = BLOCK / plan.places * np.stack([place + plan.z[:, 0] - plan.z[:, 1] / 2, plan.z[:, 1]])
    plan.range = plan.high - plan.low
    plan.cross = 1.3 * plan.side * (np.arange(ends[-1]) >= plan.rows["crosser"].start)
    plan.edges = np.linspace(0, BLOCK, PLOTS + 1)
    return plan
