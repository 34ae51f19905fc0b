"""Folders that appear whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekd_runtime.artifact import SIDECAR
from edgekd_runtime.atomic import scratch
from edgekd_runtime.errors import EdgeKDError


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yield an empty folder in a hidden one beside `out`; on success it becomes `out`, on failure nothing is left.

    Where `out` is there already its files are replaced, the sidecar last: until then it says that the model is another.

    Raises:
        EdgeKDError: If it can't be written.
    """
    made = [folder for folder in out.parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with scratch(out.parent) as hidden:
            folder = hidden / out.name
            folder.mkdir()
            yield folder
            if out.exists():
                for file in sorted(folder.iterdir(), key=lambda file: file.name == SIDECAR):
                    file.replace(out / file.name)
            else:
                folder.rename(out)
    except OSError as error:
        raise EdgeKDError(f"Can't write {out}: {error.strerror or error}; choose another --out or free some space.") from error
    finally:
        with suppress(OSError):  # where something was written they are not empty
            for folder in made:
                folder.rmdir()
