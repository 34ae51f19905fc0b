"""The data layout of labelled scenes, and a video of a drive."""

from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

import numpy as np

from edgekd.data.layout import Layout, Sample
from edgekd.data.streetscape.classes import CLASSES
from edgekd.data.streetscape.types import Camera
from edgekd.data.streetscape.world import SPEED, World
from edgekd_runtime.errors import UsageError

_SPLITS = {"train": 512, "val": 64, "test": 64}
_SMALLEST = 32
_FPS = 25.0
_APART = 4.0  # seconds between the frames of a recording
_STREET = 11  # a lively one on a fine day, for seed 0


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    if min(size) < _SMALLEST:
        raise UsageError(f"A street scene of {size[0]}×{size[1]} pixels shows nothing; give at least {_SMALLEST} for height and width.")
    return int(size[0]), int(size[1])


@lru_cache(maxsize=1024)
def drawn(split: int, index: int, size: tuple[int, int], seed: int) -> Sample:
    """Draw a scene and keep it in memory: drawing takes 5 to 10 ms, and training visits each scene many times.

    Every caller gets the same arrays, so copy them before changing anything. At 192×256 pixels, 1024 scenes take 200 MB.

    Args:
        split: Number of the split.
        index: Number of the scene in it.
        size: Height and width.
        seed: Of the data set.
    """
    world = World(seed, split, index)
    return world.frame(world.glance.z / SPEED, world.glance, size, index)


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
        """Draw one sample, or copy it from memory if it has been drawn before; the copy is the caller's to change.

        Raises:
            IndexError: If there is no such sample.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.split} has {len(self)} street scenes; there is no number {index}.")
        image, label = drawn(list(_SPLITS).index(self.split), int(index), self.size, self.seed)
        return Sample(image.copy(), label.copy())


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
        yield world.frame(time, _driving(world, time), size, number)


def recording(streets: int, frames: int, *, size: tuple[int, int] = (192, 256), seed: int = 0) -> Iterator[Sample]:
    """Drives through many streets, one after another, a frame every four seconds: none of these streets is a split's or `drive`'s.

    Args:
        streets: How many; fewer are the first of more.
        frames: Of each street.
        size: Height and width.
        seed: Another seed is other streets.

    Raises:
        UsageError: If the size is too small.
    """
    size = _checked(size)
    for street in range(streets):
        world = World(seed, len(_SPLITS) + 1, street)
        for frame in range(frames):
            time = _APART * frame
            yield world.frame(time, _driving(world, time), size, street * frames + frame)


def _driving(world: World, time: float) -> Camera:
    """Where the camera of a drive looks from after so many seconds."""
    x, y, _, _, pitch, focal = world.seat
    sway = np.sin(time * np.array([0.5, 4.1, 0.37, 2.3])) * (0.25, 0.012, 0.018, 0.003)
    return Camera(x + sway[0], y + sway[1], time * SPEED, sway[2], pitch + sway[3], focal)
