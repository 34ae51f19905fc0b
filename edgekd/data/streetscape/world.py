"""A world: one endless street with its weather and its camera, built block by block from a seed."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.data.layout import Sample
from edgekd.data.streetscape.bank import bank
from edgekd.data.streetscape.paints import DRESS, wear
from edgekd.data.streetscape.render import render
from edgekd.data.streetscape.street import BLOCK, CROSSING, PIECES, PLOTS, STYLES, ZEBRA, places
from edgekd.data.streetscape.types import THING, Camera, Image
from edgekd.data.streetscape.weather import weather

SPEED = 9.0  # metres a second, of a drive
_FAR = 132.0  # metres: nothing is drawn farther away
_MARGIN = 64


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
        plan, kinds, names = places(), bank().kinds, list(DRESS)
        rng = np.random.default_rng(entropy)
        hand = 1 if rng.random() < 0.7 else -1  # +1 drives on the right
        self._half, self._walk, self._storeys = rng.uniform((4.6, 3.0, 6.0), (6.8, 6.5, 15.0))  # half the carriageway, a pavement, a height
        self.lane = hand * (self._half - 2.2) / 2
        self._chance = plan.chance * rng.uniform(*np.transpose(list(STYLES.values())))[plan.trait]
        self._from, self._reach = plan.side[:, None].T * (plan.metres + plan.walk * self._walk + (self._half, 0)).T
        self._yaw = np.pi * np.choose(plan.faces, [0 * plan.side, plan.side < 0, plan.side * hand < 0, plan.side**2])
        self._facades, self._trees = kinds["sash"] + rng.integers(0, 6, 4), kinds["tree0"] + rng.integers(0, 5, 3)
        self._taste = rng.random((len(names), 5))
        pieces = np.array([names.index("tarmac")] * 6 + [names.index("slab")] * 4)
        self._ground = np.zeros(len(PIECES), THING)
        self._ground["kind"] = [kinds[name] for name in PIECES]
        self._ground["kind"][0] += int(rng.integers(0, 2))
        self._ground["paint"] = wear(pieces, self._taste[pieces])
        self._light, self._dusk, sky = weather(rng)
        self._softness, self._grain, self._contrast, self._offset = rng.uniform((0.35, 0.05, 1.0, -14), (0.85, 0.28, 1.3, 10))

        # What keeps its distance from the camera: sky, ground, two backdrops, perhaps the car ahead and the own bonnet.
        left, right, tall, hills, ahead = rng.uniform((-40, -40, 16, 5, 11), (40, 40, 40, 18, 28))
        company = np.zeros(6, THING)
        company["kind"] = [kinds[name] for name in ("sky", "ground", "skyline0", "hills", "sedan", "bonnet")]
        company["kind"][[2, 4]] += rng.integers(0, 3, 2, np.int32)
        company["at"] = [(0, 300, 0), (-320, -0.02, -32), (left, 0, 230), (right, 0, 200), (self.lane, 0, ahead), (0, 0, 0.5)]
        company["size"] = [(3000, 1, 3000), (640, 1, 480), (320, tall, 1), (360, hills, 1), (1.8, 1.5, 4.4), (1.7, 1, 0.8)]
        dress = np.array([names.index(name) for name in ("grass", "grass", "city", "tree", "car", "car")])
        company["paint"] = wear(dress, rng.random((6, 5)))
        company["paint"][0] = sky
        self._company = company[[True, True, True, True, *(rng.random(2) < (0.55, 0.35))]]

        low, high = (1.25, -0.01, 0.72, -0.9, -0.16, -0.03, 12), (2.0, 0.09, 1.0, 0.9, 0.16, 0.03, BLOCK - 36)
        height, pitch, focal, aside, turn, nod, z = rng.uniform(low, high)
        self.seat = Camera(self.lane, height, 0.0, 0.0, pitch, focal)
        self.glance = Camera(self.lane + aside, height, z, turn, pitch + nod, focal)

    def _block(self, number: int) -> NDArray[np.void]:
        """All that stands and moves on `BLOCK` metres of street."""
        if number in self._blocks:
            return self._blocks[number]
        plan, kinds = places(), bank().kinds
        start, half, line, rows = number * BLOCK, self._half, self._half + self._walk, plan.rows
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
            keep &= abs(z - (start + CROSSING)) > 6.5
        dress = plan.dress[:, 0] + (draw[:-4, 5] * plan.dress[:, 1]).astype(np.intp)
        pace = plan.pace[:, 0] + draw[:-4, 6] * plan.pace[:, 1]
        size[kind == kinds["van"], 1] *= 1.25
        x[rows["traffic"]] = -self.lane
        keep[rows["traffic"]] &= plan.side[rows["traffic"]] > 0
        keep[rows["stop"]], keep[rows["crosser"]] = crossing or zebra, keep[rows["crosser"]] & zebra

        # Plots: houses, some with a shop, or gardens with a tree behind a hedge.
        edges = start + plan.edges + np.zeros((2, 1))
        edges[:, 1:-1] += 6 * draw[-3:-1, : PLOTS - 1] - 3
        free = np.ones(2 * PLOTS, bool)
        if crossing:
            edges[:, 3:5] = start + CROSSING - gap - 0.6, start + CROSSING + gap + 0.6
            free[3::PLOTS] = False
        low, high = edges[:, :-1].ravel(), edges[:, 1:].ravel()
        near = np.where(plan.side[rows["house"]] > 0, low, high)
        built = keep[rows["house"]] & free
        for name, there in (("house", built), ("shop", built & keep[rows["shop"]]), ("hedge", ~built & free)):
            keep[rows[name]], size[rows[name], 2], z[rows[name]] = there, high - low, near
        keep[rows["yard"]], keep[rows["row"]] = ~built & free, True
        z[rows["row"]] = start, start + BLOCK
        for name in ("house", "row"):
            size[rows[name], 1] *= self._storeys
        for name, choice in (("house", self._facades), ("yard", self._trees), ("tree", self._trees)):
            kind[rows[name]] = choice[(draw[:-4, 2][rows[name]] * len(choice)).astype(np.intp)]
        dress[: rows["shop"].stop] += self._dusk

        # The ground: carriageway, repairs, side street, zebra crossing, and two pieces of pavement a side.
        laid = np.array([True, *(draw[-2, 8:11] < 0.5), crossing, zebra, True, True, True, True])
        there = np.flatnonzero(keep)
        block = np.empty(len(PIECES) + len(there), THING)
        ground, things = block[: len(PIECES)], block[len(PIECES) :]
        px, pz, pw, pl = ((0.5 - draw[-4, :12].reshape(4, 3)) * [[2 * half - 3], [90], [2], [6]]) + [[-1.5], [48], [2], [4]]
        ground[:] = self._ground
        ground["at"][:, 0] = -half, *px, -line - 24, -half, half, half, -half, -half
        middle = start + CROSSING
        ground["at"][:, 2] = start, *(start + pz), middle - gap, start + ZEBRA, start, middle + gap, middle - gap, start + BLOCK
        ground["size"][:, 0] = 2 * half, *pw, 2 * line + 48, 2 * half, *[self._walk + 2] * 4
        ground["size"][:, 1] = 0.13
        ground["size"][:, 2] = BLOCK, *pl, 2 * gap, 3.5, *[CROSSING - gap, BLOCK - CROSSING - gap] * 2
        ground["yaw"][-2:] = np.pi
        ground["paint"][1:4] *= 0.75 + 0.45 * draw[-1, 2:5, None, None]

        dress, shared = dress[there], plan.shared[there, None]
        things["kind"], things["size"], things["yaw"], things["velocity"] = kind[there], size[there], self._yaw[there], 0
        things["at"][:, 0], things["at"][:, 1], things["at"][:, 2] = x[there], plan.lift[there], z[there]
        things["velocity"][:, 0], things["velocity"][:, 2] = plan.cross[there], pace[there]
        things["paint"] = wear(dress, np.where(shared, self._taste[dress], draw[there, 7:]))
        self._blocks[number] = block[np.append(laid, np.ones(len(there), bool))]
        return self._blocks[number]

    def _things(self, time: float, camera: Camera) -> NDArray[np.void]:
        """What is in front of `camera` after `time` seconds; whoever moves is at its own place when the drive gets there."""
        kinds, grounds = bank().kinds, bank().grounds
        first, last = int((camera.z - 12) // BLOCK), int((camera.z + _FAR) // BLOCK)
        street = np.concatenate([self._block(number) for number in range(first, last + 1)])
        since = np.clip(time - street["at"][:, 2] / SPEED, -10, 2)
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
        return np.concatenate([company[:2], street[flat & (far > -BLOCK)], company[2:], street[near & ~flat]])

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


@lru_cache(maxsize=2)
def _noise(size: tuple[int, int]) -> Image:
    """Noise around 128, a little larger than an image: where it is cut out changes from frame to frame."""
    field = np.random.default_rng(97).normal(128, 32, (size[0] + _MARGIN, size[1] + _MARGIN, 3))
    return np.asarray(field.clip(0, 255), np.uint8)
