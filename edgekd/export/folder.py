"""Folders that appear whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekd_runtime.errors import EdgeKDError


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder beside `out`; on success its files are moved into `out`, on failure nothing is left.

    Raises:
        EdgeKDError: If it can't be written.
    """
    made = [folder for folder in out.parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
            yield Path(temporary)
            out.mkdir(exist_ok=True)
            for file in Path(temporary).iterdir():
                shutil.move(file, out / file.name)
    except OSError as error:
        raise EdgeKDError(f"Can't write {out}: {error.strerror or error}; choose another --out or free some space.") from error
    finally:
        with suppress(OSError):  # where something was written they are not empty
            for folder in made:
                folder.rmdir()
