"""Streetscape: labelled street scenes drawn on the fly, so that a first run needs no download; and a drive through one of them."""

from collections.abc import Iterator
from functools import lru_cache
from types import SimpleNamespace
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.layout import Layout, Sample
from edgekd.data.streetscape_scene import THING, Camera, Floats, Image, Ints, Light, bank, render
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import UsageError

CLASSES = ClassSet(
    names=("sky", "building", "road", "pavement", "vegetation", "car", "pedestrian", "pole", "sign"),
    palette=(
        *((70, 130, 180), (90, 84, 96), (128, 64, 128), (244, 35, 232), (107, 142, 35)),
        *((0, 0, 190), (220, 20, 60), (190, 153, 153), (250, 200, 0)),
    ),
)

_SPLITS = {"train": 512, "val": 64, "test": 64}
_SMALLEST = 32
_BLOCK, _SPEED, _FPS, _FAR = 96.0, 9.0, 25.0, 132.0  # metres, metres and frames a second

_PAINT: dict[str, NDArray[np.float64]] = {
    name: np.array([[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in codes.split()])
    for name, codes in {
        "wall": "8c4c3c b8a078 d8ccae 808080 525458 8ca8c4 dcdcd6 bc8c4c 748c6a c8968c 664c3c 9e9a92 5c7484 a87868",
        "trim": "e4e4e0 d8d0c0 4a4a4c 5a4030 34503c 2c3c58 a09888",
        "roof": "7c4434 54504e 3c3e44 8a5a44",
        "glass": "202a34 34424e 4c606e 14181c 5c7c94",
        "lit": "ffd890 ffe8b8 f0c070 2c3440 222830 181c24 303848",
        "leaf": "3c5c28 4c6c2c 5c7434 2c4824 70782c 44602c 98682c a88430 844430 5c7848",
        "bark": "4c3c30 5c5044 3c342c",
        "grass": "5c7434 6c7c3c 80784c 4c6430",
        "asphalt": "4c4c50 60605f 3c3e42 6c645c 565a62",
        "line": "d8d8d0 e4e4e0 d0bc70",
        "slab": "88847c 74747a 8c7868 5c5e60 989690 9c8880",
        "body": "dcdcdc b0b4b8 70747a 1c1e22 8c1c1c 243c78 2c4c3c a89878 c8a030 5c6c84 e8e8e8 3c3e44",
        "tyre": "1c1c1e 242426 2c2c2c",
        "head": "f0f0e0",
        "tail": "b01818 901010",
        "cloth": "243050 801c24 d8d4cc 1c1c20 5c6440 b08c3c 4c7c94 6c4c6c c86c34 808488 2c5c48",
        "denim": "243048 1c1c20 48505c 5c5040 7c7464",
        "skin": "e0b494 c89070 8c5c40 5c3c2c",
        "pole": "5c5e60 384840 8c8c8c 2c2c30 6c6860",
        "signal": "c01c20 1c4c9c e8b820",
        "white": "e8e8e4",
        "black": "1c1c1c 243c7c",
        "litter": "385c3c 6c6c70 8c5030 2c4870",
    }.items()
}

_LIGHTS = {  # sun, sky, horizon, zenith, elevation in degrees
    "day": ((0.62, 0.58, 0.5), (0.52, 0.56, 0.62), (0.74, 0.8, 0.86), (0.28, 0.46, 0.76), (32, 68)),
    "overcast": ((0.12, 0.12, 0.12), (0.78, 0.8, 0.82), (0.78, 0.8, 0.81), (0.6, 0.64, 0.68), (86, 90)),
    "golden": ((0.92, 0.62, 0.32), (0.4, 0.4, 0.48), (0.88, 0.74, 0.6), (0.42, 0.5, 0.66), (14, 30)),
    "dusk": ((0.04, 0.04, 0.06), (0.42, 0.42, 0.52), (0.54, 0.48, 0.54), (0.17, 0.2, 0.36), (86, 90)),
}
_SKIES = ("day", "day", "day", "overcast", "overcast", "golden", "dusk")

_DRESS = {  # the paints of a thing's five slots; a short list goes on with its last
    "house": ("wall", "trim", "glass"),
    "lit house": ("wall", "trim", "glass", "lit"),
    "tree": ("leaf", "bark", "leaf"),
    "car": ("body", "tyre", "glass", "head", "tail"),
    "person": ("cloth", "denim", "skin"),
    "red sign": ("white", "signal", "black", "pole"),
    "blue sign": ("signal", "white", "white", "pole"),
    "semaphore": ("tyre", "tyre", "tyre", "tail", "pole"),
    "litter": ("litter",),
    "pole": ("pole", "pole", "pole", "lit", "pole"),
    "tarmac": ("asphalt", "line"),
    "slab": ("slab",),
    "grass": ("grass",),
    "city": ("wall",),
}


class _Slot(NamedTuple):
    """A sort of thing that lines the street: where it stands, how large it is, how often it is there. Pairs are a start and a range.

    Attributes:
        kinds: First and last prototype to choose from, or the only one.
        dress: First and last of `_DRESS` to choose from, or the only one.
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


_PLOTS = 8
_CARS, _SMALL, _LARGE = ("sedan", "van"), (1.75, 1.42, 4.0), (1.9, 1.6, 4.8)
_TREES, _HUMAN = ("tree0", "tree4"), (0.64, 1.9, 0.3)
_SLOTS = {
    "house": _Slot(("sash", "glazed"), ("house",), _PLOTS, "built", 1, (0, 0), (1, 0), (8, 0.6, 1), (12, 1.5, 1)),
    "shop": _Slot(("shop",), ("house",), _PLOTS, "shops", 1, (-0.06, 0), (1, 0), (1, 3.6, 1), (1, 4, 1)),
    "hedge": _Slot(("hedge",), ("tree",), _PLOTS, "always", 1, (0, 0), (1, 0), (0.8, 0.9, 1), (1.2, 2.4, 1)),
    "yard": _Slot(_TREES, ("tree",), _PLOTS, "always", 1, (2.5, 5), (1, 0), (4, 5, 3), (6, 10, 3), (0, 0.6)),
    "row": _Slot(("bands",), ("house",), 1, "always", 1, (24, 0), (1, 0), (8, 0.8, _BLOCK), (8, 1.5, _BLOCK)),
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
_STYLES = {"always": (1, 1), "built": (0.6, 0.97), "shops": (0, 0.8), "green": (0.25, 0.8), "parked": (0.15, 0.75), "busy": (0.4, 0.9)}
_ZEBRA, _CROSSING = 32.0, 42.0  # where they are in a block that has them; the crossing takes the place of the plot there
_PIECES = ("road", "patch", "patch", "patch", "lane", "zebra", "pavement", "pavement", "pavement", "pavement")


@lru_cache(maxsize=1)
def _plan() -> SimpleNamespace:
    """The places of a block, right side and left, as columns named like the fields of `_Slot`; `rows` finds those of a slot."""
    slots = list(_SLOTS.values())
    counts = np.array([2 * slot.places for slot in slots])
    ends = np.cumsum(counts)
    plan = SimpleNamespace(rows={name: slice(int(end - n), int(end)) for name, end, n in zip(_SLOTS, ends, counts, strict=True)})
    for field in _Slot._fields[2:]:
        setattr(plan, field, np.repeat([getattr(slot, field) for slot in slots], counts, axis=0))
    for field, numbers in (("kinds", bank().kinds), ("dress", {name: number for number, name in enumerate(_DRESS)})):
        ranges = [(numbers[names[0]], numbers[names[-1]] + 1 - numbers[names[0]]) for names in (getattr(slot, field) for slot in slots)]
        setattr(plan, field, np.repeat(ranges, counts, axis=0))
    plan.trait = np.array([list(_STYLES).index(name) for name in plan.style])
    plan.side = np.concatenate([np.repeat([1.0, -1.0], slot.places) for slot in slots])
    place = np.concatenate([np.tile(np.arange(slot.places) + 0.5, 2) for slot in slots])
    plan.z_low, plan.z_range = _BLOCK / plan.places * np.stack([place + plan.z[:, 0] - plan.z[:, 1] / 2, plan.z[:, 1]])
    plan.range = plan.high - plan.low
    plan.cross = 1.3 * plan.side * (np.arange(ends[-1]) >= plan.rows["crosser"].start)
    plan.edges = np.linspace(0, _BLOCK, _PLOTS + 1)
    return plan


@lru_cache(maxsize=1)
def _wardrobe() -> tuple[Floats, Ints, Ints]:
    """All colours, and for each dress where the palette of each slot starts and how long it is."""
    sizes = np.array([len(colours) for colours in _PAINT.values()])
    slots = np.array([[list(_PAINT).index(names[min(slot, len(names) - 1)]) for slot in range(5)] for names in _DRESS.values()])
    return np.concatenate(list(_PAINT.values())).astype(np.float32), (np.cumsum(sizes) - sizes)[slots], sizes[slots]


def _wear(dress: Ints, draw: NDArray[np.float64]) -> Floats:
    """Paints, n × 5 × 3: `draw` in [0, 1) picks a colour of the palette and, by its remainder, a brightness."""
    colours, start, length = _wardrobe()
    scaled = draw * length[dress]
    pick = scaled.astype(np.intp)
    return np.asarray(colours[start[dress] + pick] * (0.84 + 0.32 * (scaled - pick))[..., None], np.float32)


class World:
    """An endless street, built block by block.

    Args:
        entropy: Seeds; the world depends on nothing else.

    Attributes:
        lane: Where the drive keeps to.
        seat: The camera of a drive, at its start.
        glance: Some camera, for a single picture.
    """

    def __init__(self, *entropy: int) -> None:
        self._entropy = entropy
        self._blocks: dict[int, NDArray[np.void]] = {}
        plan, kinds, names = _plan(), bank().kinds, list(_DRESS)
        rng = np.random.default_rng(entropy)
        hand = 1 if rng.random() < 0.7 else -1  # +1 drives on the right
        self._half, self._walk, self._storeys = rng.uniform((4.6, 3.0, 6.0), (6.8, 6.5, 15.0))  # half the carriageway, a pavement, a height
        self.lane = hand * (self._half - 2.2) / 2
        self._chance = plan.chance * rng.uniform(*np.transpose(list(_STYLES.values())))[plan.trait]
        self._from, self._reach = plan.side[:, None].T * (plan.metres + plan.walk * self._walk + (self._half, 0)).T
        self._yaw = np.pi * np.choose(plan.faces, [0 * plan.side, plan.side < 0, plan.side * hand < 0, plan.side**2])
        self._facades, self._trees = kinds["sash"] + rng.integers(0, 6, 4), kinds["tree0"] + rng.integers(0, 5, 3)
        self._taste = rng.random((len(names), 5))
        pieces = np.array([names.index("tarmac")] * 6 + [names.index("slab")] * 4)
        self._ground = np.zeros(len(_PIECES), THING)
        self._ground["kind"] = [kinds[name] for name in _PIECES]
        self._ground["kind"][0] += int(rng.integers(0, 2))
        self._ground["paint"] = _wear(pieces, self._taste[pieces])
        self._light, self._dusk, sky = self._weather(rng)
        self._softness, self._grain, self._contrast, self._offset = rng.uniform((0.35, 0.05, 1.0, -14), (0.85, 0.28, 1.3, 10))

        # What keeps its distance from the camera: sky, ground, two backdrops, perhaps the car ahead and the own bonnet.
        left, right, tall, hills, ahead = rng.uniform((-40, -40, 16, 5, 11), (40, 40, 40, 18, 28))
        company = np.zeros(6, THING)
        company["kind"] = [kinds[name] for name in ("sky", "ground", "skyline0", "hills", "sedan", "bonnet")]
        company["kind"][[2, 4]] += rng.integers(0, 3, 2, np.int32)
        company["at"] = [(0, 300, 0), (-320, -0.02, -32), (left, 0, 230), (right, 0, 200), (self.lane, 0, ahead), (0, 0, 0.5)]
        company["size"] = [(3000, 1, 3000), (640, 1, 480), (320, tall, 1), (360, hills, 1), (1.8, 1.5, 4.4), (1.7, 1, 0.8)]
        dress = np.array([names.index(name) for name in ("grass", "grass", "city", "tree", "car", "car")])
        company["paint"] = _wear(dress, rng.random((6, 5)))
        company["paint"][0] = sky
        self._company = company[[True, True, True, True, *(rng.random(2) < (0.55, 0.35))]]

        low, high = (1.25, -0.01, 0.72, -0.9, -0.16, -0.03, 12), (2.0, 0.09, 1.0, 0.9, 0.16, 0.03, _BLOCK - 36)
        height, pitch, focal, aside, turn, nod, z = rng.uniform(low, high)
        self.seat = Camera(self.lane, height, 0.0, 0.0, pitch, focal)
        self.glance = Camera(self.lane + aside, height, z, turn, pitch + nod, focal)

    @staticmethod
    def _weather(rng: np.random.Generator) -> tuple[Light, bool, Floats]:
        """The light, whether lamps are lit, and the paints of the sky."""
        name = _SKIES[int(rng.integers(len(_SKIES)))]
        sun, sky, horizon, zenith, elevations = _LIGHTS[name]
        tilt, turn = np.radians(rng.uniform(*elevations)), rng.uniform(0, 2 * np.pi)
        towards = np.array([np.cos(tilt) * np.cos(turn), np.sin(tilt), np.cos(tilt) * np.sin(turn)], np.float32)
        tint = rng.uniform(0.85, 1.15) * rng.uniform(0.92, 1.08, 3)
        colours = [np.asarray(colour * tint, np.float32) for colour in (sun, sky, horizon)]
        haze, shadow = np.exp(rng.uniform(np.log(70), np.log(700))), rng.uniform(0.8, 1.1) * (0.5 if elevations[0] < 80 else 0.32)
        clouds = np.array([zenith, np.multiply(horizon, rng.uniform(0.9, 1.15)), zenith, zenith, zenith], np.float32)
        dusk = name == "dusk"
        return Light(towards, colours[0], colours[1], colours[2], float(haze), float(shadow), 1.15 if dusk else 0.0), dusk, clouds

    def _block(self, number: int) -> NDArray[np.void]:
        """All that stands and moves on `_BLOCK` metres of street."""
        if number in self._blocks:
            return self._blocks[number]
        plan, kinds = _plan(), bank().kinds
        start, half, line, rows = number * _BLOCK, self._half, self._half + self._walk, plan.rows
        draw = np.random.default_rng((*self._entropy, 1, number + 16)).random((len(plan.side) + 4, 12))
        crossing, zebra = draw[-1, :2] < (0.35, 0.55)
        gap = 4.5 if crossing else 0.0

        # Whatever lines the street.
        x = self._from + draw[:-4, 0] * self._reach
        z = start + plan.z_low + draw[:-4, 1] * plan.z_range
        kind = plan.kinds[:, 0] + (draw[:-4, 2] * plan.kinds[:, 1]).astype(np.intp)
        size = plan.low + draw[:-4, 3:4] * plan.range
        keep = draw[:-4, 4] < self._chance
        if crossing:
            keep &= abs(z - (start + _CROSSING)) > 6.5
        dress = plan.dress[:, 0] + (draw[:-4, 5] * plan.dress[:, 1]).astype(np.intp)
        pace = plan.pace[:, 0] + draw[:-4, 6] * plan.pace[:, 1]
        size[kind == kinds["van"], 1] *= 1.25
        x[rows["traffic"]] = -self.lane
        keep[rows["traffic"]] &= plan.side[rows["traffic"]] > 0
        keep[rows["stop"]], keep[rows["crosser"]] = crossing or zebra, keep[rows["crosser"]] & zebra

        # Plots: houses, some with a shop, or gardens with a tree behind a hedge.
        edges = start + plan.edges + np.zeros((2, 1))
        edges[:, 1:-1] += 6 * draw[-3:-1, : _PLOTS - 1] - 3
        free = np.ones(2 * _PLOTS, bool)
        if crossing:
            edges[:, 3:5] = start + _CROSSING - gap - 0.6, start + _CROSSING + gap + 0.6
            free[3::_PLOTS] = False
        low, high = edges[:, :-1].ravel(), edges[:, 1:].ravel()
        near = np.where(plan.side[rows["house"]] > 0, low, high)
        built = keep[rows["house"]] & free
        for name, there in (("house", built), ("shop", built & keep[rows["shop"]]), ("hedge", ~built & free)):
            keep[rows[name]], size[rows[name], 2], z[rows[name]] = there, high - low, near
        keep[rows["yard"]], keep[rows["row"]] = ~built & free, True
        z[rows["row"]] = start, start + _BLOCK
        for name in ("house", "row"):
            size[rows[name], 1] *= self._storeys
        for name, choice in (("house", self._facades), ("yard", self._trees), ("tree", self._trees)):
            kind[rows[name]] = choice[(draw[:-4, 2][rows[name]] * len(choice)).astype(np.intp)]
        dress[: rows["shop"].stop] += self._dusk

        # The ground: carriageway, repairs, side street, zebra crossing, and two pieces of pavement a side.
        laid = np.array([True, *(draw[-2, 8:11] < 0.5), crossing, zebra, True, True, True, True])
        there = np.flatnonzero(keep)
        block = np.empty(len(_PIECES) + len(there), THING)
        ground, things = block[: len(_PIECES)], block[len(_PIECES) :]
        px, pz, pw, pl = ((0.5 - draw[-4, :12].reshape(4, 3)) * [[2 * half - 3], [90], [2], [6]]) + [[-1.5], [48], [2], [4]]
        ground[:] = self._ground
        ground["at"][:, 0] = -half, *px, -line - 24, -half, half, half, -half, -half
        middle = start + _CROSSING
        ground["at"][:, 2] = start, *(start + pz), middle - gap, start + _ZEBRA, start, middle + gap, middle - gap, start + _BLOCK
        ground["size"][:, 0] = 2 * half, *pw, 2 * line + 48, 2 * half, *[self._walk + 2] * 4
        ground["size"][:, 1] = 0.13
        ground["size"][:, 2] = _BLOCK, *pl, 2 * gap, 3.5, *[_CROSSING - gap, _BLOCK - _CROSSING - gap] * 2
        ground["yaw"][-2:] = np.pi
        ground["paint"][1:4] *= 0.75 + 0.45 * draw[-1, 2:5, None, None]

        dress, shared = dress[there], plan.shared[there, None]
        things["kind"], things["size"], things["yaw"], things["velocity"] = kind[there], size[there], self._yaw[there], 0
        things["at"][:, 0], things["at"][:, 1], things["at"][:, 2] = x[there], plan.lift[there], z[there]
        things["velocity"][:, 0], things["velocity"][:, 2] = plan.cross[there], pace[there]
        things["paint"] = _wear(dress, np.where(shared, self._taste[dress], draw[there, 7:]))
        self._blocks[number] = block[np.append(laid, np.ones(len(there), bool))]
        return self._blocks[number]

    def _things(self, time: float, camera: Camera) -> NDArray[np.void]:
        """What is in front of `camera` after `time` seconds; whoever moves is at its own place when the drive gets there."""
        kinds, grounds = bank().kinds, bank().grounds
        first, last = int((camera.z - 12) // _BLOCK), int((camera.z + _FAR) // _BLOCK)
        street = np.concatenate([self._block(number) for number in range(first, last + 1)])
        since = np.clip(time - street["at"][:, 2] / _SPEED, -10, 2)
        street["at"] += street["velocity"] * since[:, None]
        walks = (street["kind"] == kinds["walker0"]) & street["velocity"].any(1)
        street["kind"] += np.where(walks, np.floor(since * 2.6).astype(np.int32) % 4, 0)
        far = street["at"][:, 2] - camera.z
        aside = abs((street["at"][:, 0] - camera.x) * np.cos(camera.yaw) - far * np.sin(camera.yaw))
        reach = street["size"].max(1) + 4
        near = (far > -reach) & (far < np.minimum(_FAR, 58 * street["size"][:, 1]))
        near &= aside < far.clip(0) * (0.6 / camera.focal) + 1.5 * reach
        flat = street["kind"] < grounds

        company = self._company.copy()
        company["at"][:, 2] += camera.z
        company["at"][1, 2] -= camera.z % 16  # whole repeats of its texture
        company["at"][4:, 2] += np.where(company["kind"][4:] == kinds["bonnet"], 0, 2.5 * np.sin(time / 3))
        for bonnet in np.flatnonzero(company["kind"] == kinds["bonnet"]):
            company["at"][bonnet, :2], company["yaw"][bonnet] = (camera.x, camera.y - 0.47), camera.yaw
        return np.concatenate([company[:2], street[flat & (far > -_BLOCK)], company[2:], street[near & ~flat]])

    def frame(self, time: float, camera: Camera, size: tuple[int, int], number: int) -> Sample:
        """What a not too good camera records.

        Args:
            time: Seconds since the start of the drive, which moves whoever moves.
            camera: Where it looks from.
            size: Height and width.
            number: Picks the sensor noise.
        """
        height, width = size
        image, label = render(self._things(time, camera), camera, self._light, size)
        image = cv2.GaussianBlur(image, (3, 3), self._softness)
        down, right = number * 29 % _MARGIN, number * 47 % (_MARGIN - 3)
        noise = _noise(size)[down : down + height, right : right + width]
        image = cv2.addWeighted(image, self._contrast, noise, self._grain, self._offset - 128 * self._grain)
        colour = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        soft = cv2.resize(cv2.resize(colour, (width // 2, height // 2), interpolation=cv2.INTER_AREA), (width, height))
        soft[..., 0] = colour[..., 0]  # colour at half resolution, like a JPEG
        return Sample(np.asarray(cv2.cvtColor(soft, cv2.COLOR_YCrCb2RGB), np.uint8), label)


_MARGIN = 64
_STREET = 11  # a lively one on a fine day, for seed 0


@lru_cache(maxsize=2)
def _noise(size: tuple[int, int]) -> Image:
    """Noise around 128, a little larger than an image: where it is cut out changes from frame to frame."""
    field = np.random.default_rng(97).normal(128, 32, (size[0] + _MARGIN, size[1] + _MARGIN, 3))
    return np.asarray(field.clip(0, 255), np.uint8)


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    if min(size) < _SMALLEST:
        raise UsageError(f"A street scene of {size[0]}×{size[1]} pixels shows nothing; give at least {_SMALLEST} for height and width.")
    return int(size[0]), int(size[1])


class Streetscape(Layout):
    """Street scenes that need no files; sample `index` of a split is always the same.

    Args:
        split: One of train, val and test; their scenes are disjoint.
        size: Height and width.
        count: How many samples; 512 for train and 64 for the others unless given.
        seed: Another seed is another data set.

    Raises:
        UsageError: If the split is unknown or the size too small.
    """

    title: ClassVar[str] = "Streetscape: procedural street scenes, drawn on the fly"
    tree: ClassVar[str] = "(no files: every scene is drawn from its seed, split and index)"

    def __init__(self, split: str = "train", *, size: tuple[int, int] = (192, 256), count: int | None = None, seed: int = 0) -> None:
        if split not in _SPLITS:
            raise UsageError(f"Streetscape has no split {split!r}; choose one of {', '.join(_SPLITS)}.")
        self.classes = CLASSES
        self.split, self.size, self.seed = split, _checked(size), seed
        self._count = _SPLITS[split] if count is None else count

    def __len__(self) -> int:
        return self._count

    def name(self, index: int) -> str:
        return f"{self.split}/{index:05d}"

    def read(self, index: int) -> Sample:
        """Draw one sample.

        Raises:
            IndexError: If there is no such sample.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.split} has {len(self)} street scenes; there is no number {index}.")
        world = World(self.seed, list(_SPLITS).index(self.split), int(index))
        return world.frame(world.glance.z / _SPEED, world.glance, self.size, int(index))


def drive(frames: int, *, size: tuple[int, int] = (192, 256), seed: int = 0) -> Iterator[Sample]:
    """A video of a drive through one world, 25 frames a second; a shorter drive is the beginning of a longer one.

    Args:
        frames: How many.
        size: Height and width.
        seed: Another seed is another street.

    Raises:
        UsageError: If the size is too small.
    """
    world, size = World(seed, len(_SPLITS), _STREET), _checked(size)
    for number in range(frames):
        time = number / _FPS
        x, y, _, _, pitch, focal = world.seat
        sway = np.sin(time * np.array([0.5, 4.1, 0.37, 2.3])) * (0.25, 0.012, 0.018, 0.003)
        yield world.frame(time, Camera(x + sway[0], y + sway[1], time * _SPEED, sway[2], pitch + sway[3], focal), size, number)
