"""Runs on the device, given to its `python3 -c`: takes the rest of a file on stdin until its hash is right.

Arguments: the file's hash and size. Says `offset N` first (what is there already) and `stored PATH` last.
"""

import fcntl
import hashlib
import os
import select
import sys

SILENCE_S = 60
digest, size = sys.argv[1], int(sys.argv[2])
cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118  (any Python 3)
path = os.path.join(cache, "edgekd", "bundles", digest + ".pyz")  # noqa: PTH118


def say(text: str) -> None:
    """Tell the other end."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


try:
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
    with open(path, "ab") as file:  # noqa: PTH123
        fcntl.flock(file, fcntl.LOCK_EX)  # two copies of one bundle follow each other: the second finds it there
        file.seek(0, os.SEEK_END)
        if file.tell() > size:
            file.seek(file.truncate(0))
        say("offset " + str(file.tell()))
        while True:
            if not select.select([0], [], [], SILENCE_S)[0]:
                raise OSError(None, "the sender fell silent")  # a connection that broke may not be noticed for hours
            block = os.read(0, 1 << 16)
            if not block:
                break
            file.write(block)
            file.flush()  # what came before a cut stays
    arrived, found = os.path.getsize(path), hashlib.sha256()  # noqa: PTH202
    with open(path, "rb") as copy:  # noqa: PTH123
        for block in iter(lambda: copy.read(1 << 20), b""):
            found.update(block)
except OSError as error:
    say("failed " + str(error.strerror))
    sys.exit(0)
if found.hexdigest() == digest:
    say("stored " + path)
elif arrived >= size:
    os.remove(path)  # noqa: PTH107
    say("damaged")
