"""Copying a file to a device: what is there already is not sent again, and the hash decides."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from edgekd.console import Update
from edgekd.device.ssh import Target
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import sha256

BLOCK = 1 << 16


def copy_to(target: Target, file: Path, update: Update) -> str:
    """Copy a file into the device's cache, from where an earlier copy stopped.

    Args:
        target: Where to.
        file: What.
        update: Told of the bytes that are there, of all.

    Returns:
        Its path there.

    Raises:
        MissingError: If the device can't be reached, or has no python3.
        EdgeKDError: If the disk there is full, the connection is cut, or what arrived is damaged.
    """
    size = file.stat().st_size
    program = Path(__file__).with_name("receive.py").read_text(encoding="utf-8")
    # ssh may say more than a pipe holds, and nobody reads it before the end
    with TemporaryFile() as errors, target.start(["python3", "-c", program, sha256(file), str(size)], stderr=errors) as there:
        assert there.stdin and there.stdout  # for the type checker: both are pipes
        answer = _answer(there.stdout)
        if answer[0] == "offset":
            _send(file, int(answer[1]), size, there.stdin, update)
            answer = _answer(there.stdout)
        status = there.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    if answer[0] == "stored":
        return answer[1]
    if answer[0] == "failed":
        raise EdgeKDError(f"{target.host} can't store the bundle ({answer[1]}); free some space there, or set XDG_CACHE_HOME.")
    if answer[0] == "damaged":
        raise EdgeKDError(f"What arrived on {target.host} was damaged and is deleted; run the same command again.")
    raise target.failure(status, said)


def _answer(stream: IO[bytes]) -> tuple[str, str]:
    """The next word and its value; a login shell may say other things before. Empty where the stream ends."""
    for line in stream:
        word, _, value = line.decode(errors="replace").strip().partition(" ")
        if word in ("offset", "stored", "failed", "damaged"):
            return word, value
    return "", ""


def _send(file: Path, offset: int, size: int, there: IO[bytes], update: Update) -> None:
    with suppress(BrokenPipeError), there, file.open("rb") as source:  # where it breaks, the answer or ssh's status says why
        source.seek(offset)
        while block := source.read(BLOCK):
            there.write(block)
            offset += len(block)
            update(offset, size, "bytes")
