"""Files and folders that appear whole or not at all, whatever ends the process meanwhile."""

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekd_runtime.errors import EdgeKDError

PREFIX, SUFFIX = ".edgekd-", ".unfinished"
"""Of the hidden folders in which files are written before they are moved to their place."""
_swept: set[Path] = set()


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a path of the same name in a hidden folder beside `path`; move the file into place on success, delete it on any failure.

    A symbolic link stays one: the file that it leads to is replaced. A file that is replaced keeps its mode.

    Raises:
        EdgeKDError: If `path` is a folder, a device, a pipe or a socket, or can't be written (no permission, disk full); what stood
            there is untouched.
    """
    try:
        target = _destination(Path(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch(target.parent) as folder:
            temporary = folder / target.name
            yield temporary
            if target.exists():
                _keep_mode(target, temporary)
            temporary.replace(target)
    except OSError as error:
        raise EdgeKDError(f"Can't write {path}: {error.strerror or error}; choose another folder or free some space.") from error


@contextmanager
def scratch(parent: Path) -> Iterator[Path]:
    """An empty hidden folder in `parent`, locked while it is in use and then removed; those of killed processes are removed first.

    Raises:
        OSError: If it can't be made.
    """
    _sweep(parent)
    while True:
        folder = parent / f"{PREFIX}{secrets.token_hex(6)}{SUFFIX}"
        folder.mkdir()
        handle = os.open(folder, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks: then nothing is ever swept there
            fcntl.flock(handle, fcntl.LOCK_EX)
        if folder.exists():  # else another process swept it just before it was locked
            break
        os.close(handle)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _sweep(parent: Path) -> None:
    """Remove the scratch folders in `parent` whose process is gone; once a process, so that many files cost one look."""
    if parent in _swept:
        return
    _swept.add(parent)
    for folder in parent.glob(f"{PREFIX}*{SUFFIX}"):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails where it is in use, or where there are no locks
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def _destination(path: Path) -> Path:
    """The file that is written: `path`, or what it leads to as a symbolic link.

    Raises:
        EdgeKDError: If what is there is no regular file.
    """
    if path.absolute().parts[1:2] == ("proc",) or (path.absolute().parts[1:2] == ("dev",) and path.absolute().parts[2:3] != ("shm",)):
        raise EdgeKDError(f"{path} is a device, not a file; name a file.")  # /dev/stdout may lead to a file that others write, too
    try:
        target = path.resolve() if path.is_symlink() else path
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    except RuntimeError as error:  # a circle of links, before Python 3.13
        raise EdgeKDError(f"{path} is a symbolic link that leads to itself; name a file.") from error
    if not stat.S_ISREG(mode):
        raise EdgeKDError(f"{path} is {'a folder' if stat.S_ISDIR(mode) else 'a device, a pipe or a socket'}; name a file.")
    return target


def _keep_mode(old: Path, new: Path) -> None:
    about = old.stat()
    new.chmod(stat.S_IMODE(about.st_mode))
    if os.geteuid() == 0:  # whose file it was it stays
        os.chown(new, about.st_uid, about.st_gid)
