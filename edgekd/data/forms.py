"""Data sets as their makers distribute them: each split in one form or several, and the form is told by what lies in the folder."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekd.data.files import Colours, FileLayout, Pairs, list_files, read_mask_file
from edgekd_runtime.errors import EdgeKDError, UsageError


class Opened(NamedTuple):
    """What a form gives: pairs, faults and the reader of `FileLayout`."""

    pairs: Pairs
    faults: list[str]
    stored: Callable[[str, str], NDArray[Any]]


class Form(Protocol):
    """One form of a split.

    Attributes:
        table, colours: As of `FileLayout`.
    """

    @property
    def table(self) -> NDArray[np.int16]: ...

    @property
    def colours(self) -> Colours | None: ...

    def missing(self, root: Path) -> list[str]:
        """What the form needs and the root does not have."""

    def open(self, root: Path) -> Opened:
        """The pairs, once nothing is missing."""


@dataclass(frozen=True)
class MaskFiles:
    """A form with one mask file an image. Folders and lists are below the root.

    Attributes:
        images: Folder of the images; a part of it may be ``*``, e.g. for cities.
        masks: Folders of the masks, each with what a mask's name has after the sample's; the first that has a sample counts.
        table, colours: As of `FileLayout`.
        ending: What an image's name has after the sample's.
        lists: Text files that name the samples, one a line; every image is one where there is none.
        without: Text files of names to leave out.
        pattern: Regular expression that the whole name of a sample matches.
    """

    images: str
    masks: tuple[tuple[str, str], ...]
    table: NDArray[np.int16]
    ending: str = ".jpg"
    lists: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    pattern: str = ".*"
    colours: Colours | None = None

    def missing(self, root: Path) -> list[str]:
        folders = ((self.images, self.ending), *self.masks)
        files = [f"{folder}/*{ending}" for folder, ending in folders if not self._holds(root, folder, ending)]
        return files + [name for name in (*self.lists, *self.without) if not (root / name).is_file()]

    def open(self, root: Path) -> Opened:
        image_of = self._samples(root, self.images, self.ending)
        mask_of: dict[str, str] = {}
        for folder, ending in reversed(self.masks):
            mask_of |= self._samples(root, folder, ending)
        listed = [name for file in self.lists for name in read_list(root / file)]
        left_out = {name for file in self.without for name in read_list(root / file)}
        names = [name for name in dict.fromkeys(listed if self.lists else image_of) if name not in left_out]
        there = [name for name in names if name in image_of]
        places = " or ".join(f"{folder}/*{ending}" for folder, ending in self.masks)
        faults = [
            f"{root / self.images / name}{self.ending} is missing, but listed in {', '.join(self.lists)}"
            for name in names
            if name not in image_of
        ]
        faults += [f"{image_of[name]} has no mask of its name in {root} among {places}" for name in there if name not in mask_of]
        if not self.lists:
            faults += [f"{path} has no image of its name in {root / self.images}" for name, path in mask_of.items() if name not in image_of]
        return Opened([(image_of[name], mask_of[name]) for name in there if name in mask_of], faults, read_mask_file)

    def _samples(self, root: Path, folder: str, ending: str) -> dict[str, str]:
        matches = re.compile(self.pattern).fullmatch
        found = (item for place in _folders(root, folder) for item in list_files(place, (ending,)).items())
        return {name: path for name, path in found if matches(name)}

    def _holds(self, root: Path, folder: str, ending: str) -> bool:
        matches = re.compile(f"(?:{self.pattern}){re.escape(ending)}", re.IGNORECASE).fullmatch
        for place in _folders(root, folder):
            with os.scandir(place) as files:
                if any(matches(file.name) for file in files):
                    return True
        return False


def _complete(forms: tuple[Form, ...], root: Path, tree: str) -> Form:
    """The first form that lacks nothing."""
    lacks = []
    for form in forms:
        missing = form.missing(root)
        if not missing:
            return form
        lacks.append(missing)
    raise EdgeKDError(f"{root} has no {min(lacks, key=len)[0]}; this layout expects\n{tree}")


def _folders(root: Path, folder: str) -> Iterator[Path]:
    return (place for place in sorted(root.glob(folder)) if place.is_dir())


def read_list(path: Path) -> list[str]:
    """Sample names of a list file: bare names, or paths, of which the first in a line counts.

    Raises:
        EdgeKDError: If it is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EdgeKDError(f"{path} is not a readable list of names; copy it again.") from error
    return [Path(line.split()[0]).stem for line in lines if line.strip()]


class Distributed(FileLayout):
    """A public data set in the form that its folder has.

    Args:
        split: A key of `splits`.
        root: Folder that holds the tree.

    Raises:
        UsageError: If the split is unknown.
        EdgeKDError: If no form is complete; names what is missing.
    """

    splits: ClassVar[Mapping[str, tuple[Form, ...]]]

    def __init__(self, split: str = "train", *, root: str) -> None:
        if split not in self.splits:
            raise UsageError(f"{type(self).__name__} has no split {split!r}; use one of {', '.join(self.splits)}.")
        form = _complete(self.splits[split], Path(root), self.tree)
        pairs, faults, stored = form.open(Path(root))
        super().__init__(pairs, faults, self.classes, form.table, form.colours, stored)
