"""The runtime cache of TensorRT for RTX, which compiles an engine's kernels where it runs: kept on disk, so that it does so once.

Not run here: it needs a GPU.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekd_runtime.atomic import atomic
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import user_cache
from edgekd_runtime.trt.api import host_bytes


class RuntimeCache:
    """Kernels of one engine on this machine. RTX itself refuses those of another version or GPU, and compiles anew.

    Args:
        engine: TensorRT's.
        digest: SHA-256 of the engine's file.
    """

    def __init__(self, engine: Any, digest: str) -> None:
        self._file = cache_file(digest)
        self._config = engine.create_runtime_config()
        self._cache = self._config.create_runtime_cache()
        self._before = b""
        with suppress(OSError):
            self._before = self._file.read_bytes()
        if self._before:
            self._cache.deserialize(self._before)
        self._config.set_runtime_cache(self._cache)

    def context(self, engine: Any) -> Any:
        """An execution context whose kernels come from here, and go here."""
        return engine.create_execution_context(runtime_config=self._config)

    def save(self) -> None:
        """Keep what was compiled, if it is more than before; a cache that can't be written costs time, not the measurement."""
        content = host_bytes(self._cache.serialize())
        if content != self._before:
            with suppress(EdgeKDError), atomic(self._file) as temporary:
                temporary.write_bytes(content)


def cache_file(digest: str) -> Path:
    """Where the cache of an engine is."""
    return user_cache() / "rtx-kernels" / f"{digest[:32]}.cache"
