"""Writing without leaving half a file behind, hashing, and reading images and JSON with errors that name the file."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.errors import EdgeKDError


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place on success, delete it on any failure.

    Raises:
        EdgeKDError: If the file can't be written (no permission, disk full); what stood at `path` is untouched.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise EdgeKDError(f"Can't write {path}: {error.strerror}; choose another folder or free some space.") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise EdgeKDError(f"Can't write {path}: {error.strerror or error}; choose another folder or free some space.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, document: Any) -> None:
    """Write indented JSON atomically."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        EdgeKDError: If it is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise EdgeKDError(f"Can't read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise EdgeKDError(f"{path} is not valid JSON ({error}); write it again with the command that made it.") from error


def sha256(path: str | Path) -> str:
    """Hex SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256_310(file.read)


def _sha256_310(read: Callable[[int], bytes]) -> str:
    digest = hashlib.sha256()  # Python 3.10 (JetPack 6) has no hashlib.file_digest
    while block := read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write an RGB or single-channel image atomically; the suffix gives the format."""
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    ok, data = cv2.imencode(Path(path).suffix, pixels)
    if not ok:
        raise EdgeKDError(f"OpenCV can't encode {path}; use .png or .jpg.")
    with atomic(path) as temporary:
        temporary.write_bytes(data.tobytes())


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Decode an image to RGB, uint8 H×W×3.

    Raises:
        EdgeKDError: If the file is missing, truncated or no image.
    """
    return cv2.cvtColor(decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION), cv2.COLOR_BGR2RGB)


def decode(path: str | Path, flags: int) -> NDArray[Any]:
    """Decode an image file with OpenCV's flags.

    Raises:
        EdgeKDError: If the file is missing, truncated or no image.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise EdgeKDError(f"Can't read {path}: {error.strerror}.") from error
    if _truncated(data):
        raise EdgeKDError(f"{path} is cut short; copy it again or remove it.")
    try:
        pixels = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        pixels = None
    if pixels is None:
        raise EdgeKDError(f"{path} is not a readable image (empty, truncated or of an unknown format); copy it again or remove it.")
    return pixels


def _truncated(data: NDArray[np.uint8]) -> bool:
    """True for a PNG or JPEG without its end marker: OpenCV fills the missing rows with grey and says nothing."""
    content = data.tobytes()
    if content.startswith(b"\x89PNG"):
        return b"IEND" not in content
    # a thumbnail in the first half has an end marker of its own
    return content.startswith(b"\xff\xd8") and content.rfind(b"\xff\xd9") < len(content) // 2


def user_cache() -> Path:
    """What may be made again: `$XDG_CACHE_HOME/edgekd`, or `~/.cache/edgekd`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekd"
