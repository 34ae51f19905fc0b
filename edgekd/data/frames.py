"""Unlabelled images: folders, patterns and video files as one list of image files. No PyTorch here."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config import DataRecipe
from edgekd.console import Update, table
from edgekd.data.files import IMAGE_SUFFIXES
from edgekd.data.video import Taken, extracted, frames
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import read_image

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv")


@dataclass(frozen=True)
class Source:
    """One folder's or pattern's images, or one video: what is held out is the end of each.

    Attributes:
        name: As it was given, or the video's path.
        images: Image files in the order of their names; empty of a video.
        video: The video file.
    """

    name: str
    images: tuple[Path, ...] = ()
    video: Path | None = None


def sources(paths: Sequence[str]) -> list[Source]:
    """What paths stand for: folders and patterns give their images and their videos, files are either.

    Raises:
        EdgeKDError: If a path stands for nothing.
    """
    found = []
    for path in paths:
        given = Path(path)
        if given.is_file():
            files = [given]
        else:
            folder, pattern = (given, "*") if given.is_dir() else (given.parent, given.name)
            known = IMAGE_SUFFIXES + VIDEO_SUFFIXES
            files = sorted(file for file in folder.glob(pattern) if file.suffix.lower() in known and file.is_file())
        if not files:
            raise EdgeKDError(
                f"No images and no video at {path}; give a folder of images, a pattern such as 'frames/*.png', or a video file."
            )
        images = tuple(file for file in files if file.suffix.lower() in IMAGE_SUFFIXES)
        found += [Source(path, images)] if images else []
        found += [Source(str(file), video=file) for file in files if file not in images]
    return found


class Frames:
    """Unlabelled images by index.

    Args:
        files: Image files.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = [str(file) for file in files]  # plain strings, for there may be a hundred thousand

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> NDArray[np.uint8]:
        """Decode one, RGB uint8 H×W×3.

        Raises:
            EdgeKDError: If it is unreadable; names the file.
        """
        return read_image(self.files[index])


def open_frames(data: DataRecipe, held_out: bool = False) -> Frames | None:
    """The unlabelled images that are trained on, or those that are held out; None if the recipe names none.

    The frames of a video are decoded once, in order, and kept as images in the user's cache: so each is exactly the frame of its
    number whatever the container, and reading one costs no more than any other image.

    Raises:
        EdgeKDError: If a path stands for nothing, a video can't be read, or nothing is left to train on.
    """
    if not data.unlabelled:
        return None
    trained, held = [], []
    for source in sources(data.unlabelled):
        files = extracted(source.video, taken(data)) if source.video else list(source.images)
        kept = len(files) - _held_out(len(files), data.held_out)
        trained += files[:kept]
        held += files[kept:]
    if not trained or (held_out and not held):
        raise EdgeKDError(f"{', '.join(data.unlabelled)} give {len(trained) + len(held)} unlabelled image, which is too few; give more.")
    return Frames(held if held_out else trained)


def taken(data: DataRecipe) -> Taken:
    """Which frames of a video, and how large: no larger than the largest that augmentation makes of them."""
    limit = tuple(round(side * max(1.0, data.scale[1])) for side in data.size)
    return Taken(data.frame_step, data.frame_rate, (limit[0], limit[1]))


def _held_out(count: int, share: float) -> int:
    return min(count - 1, max(1, round(share * count))) if share else 0


@dataclass(frozen=True)
class FramesReport:
    """What unlabelled sources hold.

    Attributes:
        frames: Images and frames that can be read, by source.
        sizes: Image sizes ``HxW`` and how many have each.
        faults: One sentence each, with the file's name.
    """

    frames: dict[str, int]
    sizes: dict[str, int]
    faults: list[str]

    @property
    def images(self) -> int:
        """All that can be read."""
        return sum(self.frames.values())

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dictionary."""
        return asdict(self)

    def show(self) -> None:
        """Print as tables."""
        sizes = ", ".join(f"{count} of {size}" for size, count in self.sizes.items())
        table(
            f"{self.images} unlabelled images: {sizes}",
            ["source", "images"],
            [[*map(str, row)] for row in self.frames.items()],
        )
        if self.faults:
            table("faults", ["fault"], [[fault] for fault in self.faults])


def check_frames(paths: Sequence[str], update: Update) -> FramesReport:
    """Read every image and every frame, and keep none.

    Args:
        paths: As `DataRecipe.unlabelled`.
        update: Told of progress.

    Raises:
        EdgeKDError: If a path stands for nothing.
    """
    found: dict[str, int] = {}
    sizes: Counter[str] = Counter()
    faults: list[str] = []
    given = sources(paths)
    for done, source in enumerate(given, 1):
        found[source.name] = 0
        readings = [frames(source.video, Taken())] if source.video else [_one(file) for file in source.images]
        for reading in readings:
            try:
                for image in reading:
                    found[source.name] += 1
                    sizes[f"{image.shape[0]}x{image.shape[1]}"] += 1
            except EdgeKDError as error:
                faults.append(str(error))
        update(done, len(given))
    return FramesReport(found, dict(sizes), faults)


def _one(file: Path) -> Iterator[NDArray[np.uint8]]:
    yield read_image(file)
