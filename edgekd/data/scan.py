"""What each sample of a split holds: size, pixels a class, fault. Read once and kept for as long as its files stay as they are."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from edgekd.console import Update, note
from edgekd.data.files import FileLayout
from edgekd.data.layout import Layout
from edgekd_runtime.atomic import atomic
from edgekd_runtime.errors import EdgeKDError, MissingError
from edgekd_runtime.files import user_cache

_NO_KEY = ""  # of a sample that is never kept


class Row(NamedTuple):
    """One sample.

    Attributes:
        size: Height and width; 0 where the sample has a fault.
        counts: C+1 pixel counts, of each class and, last, of what is ignored.
        fault: One sentence, empty where the sample is sound.
    """

    size: NDArray[np.int32]
    counts: NDArray[np.int32]
    fault: str


def scan(layout: Layout, name: str, split: str, root: str | None, update: Update, options: Mapping[str, Any] | None = None) -> list[Row]:
    """Read every sample whose files changed since the last scan, and take the others from the user's cache.

    A cache that is damaged or can't be written costs time, never the scan.

    Args:
        layout: An open split.
        name: Of the layout.
        split: Of the layout.
        root: Its folder.
        update: Told of progress.
        options: That it was opened with.

    Raises:
        MissingError: If reading needs a dependency that is not installed.
    """
    file = (
        cache_folder()
        / f"{_digest(name, split, str(root and Path(root).resolve()), _meaning(layout), repr(sorted((options or {}).items())))}.npz"
    )
    keys = [_key(layout, index) for index in range(len(layout))]
    kept = _load(file)
    rows: list[Row] = []
    try:
        for key in keys:
            rows.append(kept[key] if key in kept else _read(layout, len(rows)))
            update(len(rows), len(keys))
    finally:  # what was read before an interruption is kept too
        found = {key: row for key, row in zip(keys, rows, strict=False) if key != _NO_KEY}
        if found.keys() - kept.keys():
            _save(file, found)
    return rows


def cache_folder() -> Path:
    """Where scans are kept: `$XDG_CACHE_HOME/edgekd`, or `~/.cache/edgekd`."""
    return user_cache()


def _meaning(layout: Layout) -> str:
    """What turns stored masks into classes, so that another mapping is another cache."""
    return repr((layout.classes.names, layout.table.tolist(), layout.colours)) if isinstance(layout, FileLayout) else ""


def _key(layout: Layout, index: int) -> str:
    """Changes with the names, sizes and times of the sample's files."""
    if not isinstance(layout, FileLayout):
        return _NO_KEY
    try:
        states = [Path(path).stat() for path in layout.pairs[index]]
    except OSError:
        return _NO_KEY
    return _digest(*layout.pairs[index], *(f"{state.st_size} {state.st_mtime_ns}" for state in states))


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogateescape"), digest_size=12).hexdigest()


def _read(layout: Layout, index: int) -> Row:
    columns = len(layout.classes) + 1
    try:
        image, label = layout.read(index)
    except MissingError:
        raise
    except EdgeKDError as error:
        return Row(np.zeros(2, np.int32), np.zeros(columns, np.int32), str(error))
    except Exception as error:  # whatever a library makes of a damaged file: it is listed with the others
        told = f"{layout.name(index)} can't be read ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})"
        return Row(np.zeros(2, np.int32), np.zeros(columns, np.int32), told)
    counts = np.bincount(np.minimum(label.ravel(), columns - 1), minlength=columns)
    return Row(np.array(image.shape[:2], np.int32), counts.astype(np.int32), "")


def _load(file: Path) -> dict[str, Row]:
    try:
        with np.load(file, allow_pickle=False) as stored:
            keys, faults = json.loads(str(stored["keys"])), json.loads(str(stored["faults"]))
            return dict(zip(keys, map(Row, stored["sizes"], stored["counts"], faults), strict=True))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error):
        return {}


def _save(file: Path, rows: dict[str, Row]) -> None:
    sizes, counts, faults = zip(*rows.values(), strict=True)
    try:
        with atomic(file) as temporary:  # the texts as JSON: an array of text is as wide as its longest
            np.savez_compressed(temporary, keys=json.dumps(list(rows)), sizes=sizes, counts=counts, faults=json.dumps(faults))
    except EdgeKDError as error:
        note(f"The scan is not kept for the next time. {error}")
