"""Writing without leaving half a file behind, hashing, and reading images and JSON with errors that name the file."""

import hashlib
import json
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.atomic import atomic
from edgekd_runtime.errors import EdgeKDError

MOST_JSON = 1 << 28
"""Bytes of a JSON file: a thousand measurements have four million."""


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically; what UTF-8 has no bytes for, as in a file name of another encoding, is escaped as JSON has it."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | Path, document: Any) -> None:
    """Write indented JSON atomically; NaN and infinities become null."""
    try:
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(document), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: str | Path) -> Any:
    """Read a JSON file of at most `MOST_JSON` bytes; NaN and Infinity, which JSON does not have, are refused.

    Raises:
        EdgeKDError: If it is missing, no regular file, too large or not JSON.
    """
    again = "write it again with the command that made it"
    try:
        require_file(path)
        if (size := Path(path).stat().st_size) > MOST_JSON:
            raise EdgeKDError(f"{path} has {size:,} bytes, and a file of this kind at most {MOST_JSON:,}; {again}.")
        return parse_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise EdgeKDError(f"Can't read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise EdgeKDError(f"{path} is not valid JSON ({error}); {again}.") from error


def parse_json(text: str | bytes) -> Any:
    """Parse JSON as its standard has it.

    Raises:
        ValueError: If it is not valid, holds NaN or Infinity, or is nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def require_file(path: str | Path) -> None:
    """Refuse to wait for a pipe that nobody writes, or to read a device to its end; ``<(command)`` of a shell is fine.

    Raises:
        EdgeKDError: If it is no regular file.
        OSError: If it is missing.
    """
    mode = Path(path).stat().st_mode
    anonymous = stat.S_ISFIFO(mode) and str(Path(path)).startswith(("/dev/fd/", "/proc/", "/dev/stdin"))
    if not stat.S_ISREG(mode) and not anonymous:
        raise EdgeKDError(f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'a device, a pipe or a socket'}; name a file.")


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
        require_file(path)
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise EdgeKDError(f"Can't read {path}: {error.strerror}.") from error
    if _truncated(data):
        raise EdgeKDError(f"{path} is cut short; copy it again or remove it.")
    try:
        pixels = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:
        pixels = None
    if pixels is None or data[:2].tobytes() == b"#?":  # Radiance HDR, whose highlights OpenCV would cut off
        stored = _kind(data)
        if stored is not None:
            raise EdgeKDError(f"{path} stores {stored} pixels, and an image has 8 or 16 bits for each colour; convert it.")
        limit = os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS")
        raise EdgeKDError(
            f"{path} is not a readable image (empty, truncated, of an unknown format, or of more than {limit} pixels); "
            "copy it again or remove it."
        )
    return pixels


def _kind(data: NDArray[np.uint8]) -> str | None:
    """Type of the pixels of a file that holds an image all the same."""
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    except cv2.error:
        pixels = None
    return None if pixels is None else str(pixels.dtype)


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
