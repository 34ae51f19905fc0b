"""The one-file bundle on the device: a zip with this package, models and perhaps images, unpacked into the cache by its hash."""

import hashlib
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.artifact import find_models, load_artifact
from edgekd_runtime.atomic import atomic
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.files import decode, parse_json, read_image, sha256, user_cache
from edgekd_runtime.typed import Within, typed

SCHEMA_VERSION = 1
KEPT = 3
"""Bundles that stay in the cache, the last ones used: each may hold a gigabyte of models and engines."""
MANIFEST = "bundle.json"
IMAGE, LABEL = "images/{:05d}.png", "labels/{:05d}.png"


@dataclass(frozen=True)
class Bundle:
    """An unpacked bundle.

    Attributes:
        folder: Where its files are; engines built here are kept there too.
        images: How many labelled images it holds.
    """

    folder: Path
    images: int

    @property
    def models(self) -> Path:
        """Folder of the exported models."""
        return self.folder / "models"

    def model(self, name: str | None = None) -> Path:
        """A model file by its folder's name or its precision.

        Args:
            name: Such as ``int8`` or ``int8-trt``. None = the engine that was built here last; without one FP32, which every
                backend runs; without that the first.

        Raises:
            UsageError: If there is none, or the name fits several.
        """
        files = find_models(self.models)
        if name is None:
            engines = [file for file in files if file.suffix == ".engine"]
            if engines:
                return max(engines, key=lambda file: file.stat().st_mtime)
            return next((file for file in files if load_artifact(file).precision == "fp32"), files[0])
        named = [file for file in files if file.parent.name == name]
        fitting = named or [file for file in files if load_artifact(file).precision == name]
        if len(fitting) != 1:
            here = ", ".join(dict.fromkeys(file.parent.name for file in files))
            several = f"several models that are {name}: {', '.join(map(str, fitting))}" if fitting else f"no model {name}"
            raise UsageError(f"The bundle has {several}; it has {here}, and --model takes a file too.")
        return fitting[0]

    def image(self, index: int) -> Path:
        """File of a labelled image."""
        return self.folder / IMAGE.format(index)

    def sample(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """RGB image uint8 H×W×3 and its label uint8 H×W, 255 = ignore."""
        return read_image(self.image(index)), decode(self.folder / LABEL.format(index), cv2.IMREAD_UNCHANGED)

    def samples(self) -> tuple[int, Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]]:
        """The number of labelled images and an iterator over them, as `edgekd_runtime.harness.bench` takes them."""
        return self.images, (self.sample(index) for index in range(self.images))


def cache_folder() -> Path:
    """Where bundles are unpacked: `$XDG_CACHE_HOME/edgekd/bundles`, or the same in `~/.cache`."""
    return user_cache() / "bundles"


def unpack(archive: Path) -> Bundle:
    """Unpack what is not in the cache yet, or is there damaged; of older bundles there, the last few stay.

    Raises:
        EdgeKDError: If the archive is damaged or of another schema, or the cache can't be written.
    """
    damaged = f"{archive} is damaged; copy it again, or make it again with `edgekd bundle`."
    try:
        with zipfile.ZipFile(archive) as files:
            text = files.read(MANIFEST)
            manifest = typed(_Manifest, parse_json(text), f"{archive}: {MANIFEST}", "make it again with `edgekd bundle`")
            if manifest.schema_version != SCHEMA_VERSION:
                raise EdgeKDError(f"{archive} is not a bundle of schema {SCHEMA_VERSION}; make it again with `edgekd bundle`.")
            folder = cache_folder() / hashlib.sha256(text).hexdigest()[:16]
            for name, digest in manifest.files.items():
                _require_inside(name, files.getinfo(name), archive)
                target = folder / name
                if target.is_file() and sha256(target) == digest:
                    continue
                with atomic(target) as temporary:
                    with files.open(name) as source, temporary.open("wb") as copy:
                        shutil.copyfileobj(source, copy)
                    if sha256(temporary) != digest:
                        raise EdgeKDError(damaged)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise EdgeKDError(damaged) from error  # whatever zipfile and json make of damaged headers
    _forget_old(folder, archive)
    return Bundle(folder, manifest.images)


@dataclass(frozen=True)
class _Manifest:
    """What `MANIFEST` holds: SHA-256 by name in the archive, among others."""

    schema_version: int
    images: Annotated[int, Within(0, 100_000)]
    files: dict[str, str]


def _require_inside(name: str, entry: zipfile.ZipInfo, archive: Path) -> None:
    """Refuse an entry that would be unpacked outside the bundle's folder, or that grows while it is.

    Raises:
        EdgeKDError: Naming it.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or parts[0] not in ("models", "images", "labels"):
        raise EdgeKDError(f"{archive} holds {name!r}, which is no file of a bundle; make it again with `edgekd bundle`.")
    if entry.compress_type != zipfile.ZIP_STORED:
        raise EdgeKDError(f"{archive} holds {name!r} compressed, as no bundle is; make it again with `edgekd bundle`.")


def _forget_old(*used: Path) -> None:
    """Remove the bundles of the cache, unpacked or copied there, that were not among the last `KEPT` used; these are used now."""
    cache = cache_folder()
    for path in used:
        if path.parent == cache:
            path.touch()
    for pattern in ("*.pyz", "[0-9a-f]" * 16):
        with suppress(FileNotFoundError):  # another program may remove the same
            for old in sorted(cache.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
