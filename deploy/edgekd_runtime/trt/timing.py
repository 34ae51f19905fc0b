"""The timing cache: what TensorRT measured while it built, kept per device, so that the next build there is quicker."""

import re
from contextlib import suppress
from pathlib import Path

from edgekd_runtime.atomic import atomic
from edgekd_runtime.errors import UsageError
from edgekd_runtime.files import user_cache
from edgekd_runtime.trt.api import FAMILIES, host_bytes, trt
from edgekd_runtime.trt.cuda import gpu_description

SUFFIX = ".timing"


def timing_cache_file(family: str, version: str, asked: Path | None) -> Path | None:
    """Where the cache of a build is: the file asked for, or one of this GPU and TensorRT in the user's cache; None where none is kept.

    Args:
        family: A key of `FAMILIES`.
        version: Of the family.
        asked: By the user; None = the default.

    Raises:
        UsageError: If the family keeps no cache, or the file's name does not tell what it is.
    """
    if not FAMILIES[family].timing_cache:
        if asked is not None:
            raise UsageError(f"{family} keeps no timing cache (it measures where the engine runs); leave --timing-cache out.")
        return None
    if asked is None:
        gpu = re.sub(r"[^A-Za-z0-9]+", "-", gpu_description()["name"]).strip("-")
        return user_cache() / "timing" / f"{gpu}-{family}-{version}{SUFFIX}"
    if asked.suffix != SUFFIX:
        raise UsageError(f"The timing cache is written over, so its name has to end in {SUFFIX}, not {asked.name}.")
    return asked


def load_timing_cache(config: "trt.IBuilderConfig", file: Path) -> None:
    """Give a build what earlier ones measured; nothing where there is no such file yet."""
    content = b""
    with suppress(OSError):
        content = file.read_bytes()
    config.set_timing_cache(config.create_timing_cache(content), ignore_mismatch=False)


def save_timing_cache(config: "trt.IBuilderConfig", file: Path) -> None:
    """Keep what a build measured, with what it was given.

    Raises:
        EdgeKDError: If the file can't be written.
    """
    with atomic(file) as temporary:
        temporary.write_bytes(host_bytes(config.get_timing_cache().serialize()))
