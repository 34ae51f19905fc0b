"""The three standard streams of a program, where they are closed, full, or read by nobody any more."""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from edgekd_runtime.errors import EdgeKDError, UsageError

_OF_A_STREAM = (errno.ENOSPC, errno.EPIPE, errno.EBADF, errno.EIO, errno.EFBIG, errno.EDQUOT)


def hold_streams() -> None:
    """Keep the numbers of closed streams from files that are opened later, which libraries would then write their messages into.

    What is written to a closed stdout fails, as it does for other programs; what is said on a closed stderr is lost.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)  # takes the lowest number that is free
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115


def end_by(error: OSError) -> int:
    """Say on stderr which error of the system ended the program, and nothing more on stdout; the exit status.

    A reader that is gone, as after ``| head -1``, is not worth a sentence.
    """
    with suppress(OSError, ValueError, AttributeError):  # or Python would complain of what is left in the buffer at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    reason = error.strerror or str(error)
    if error.filename is not None:
        reason = f"{error.filename}: {reason}"
    elif error.errno in _OF_A_STREAM:
        reason = f"the output can't be written ({reason})"
    if not isinstance(error, BrokenPipeError):
        with suppress(OSError):
            print(f"Error: {reason}.", file=sys.stderr, flush=True)
    return _ending(error) or EdgeKDError.exit_code


def _ending(error: BaseException) -> int | None:
    """The status that the program was about to end with when its last words could not be written, as after a terminal has gone."""
    before = error.__context__
    while before is not None:
        status = before.code if isinstance(before, SystemExit) else getattr(before, "exit_code", None)  # click's and ours
        if isinstance(status, int) and status:
            return status
        before = before.__context__
    return None


def require_utf8(words: Sequence[str]) -> None:
    """Refuse names that libraries written in C do not take, and some of them crash on.

    Raises:
        UsageError: Naming it.
    """
    for word in words:
        if not word.isascii() and any("\ud800" <= letter <= "\udfff" for letter in word):
            raise UsageError(f"{word!a} is a name that is not UTF-8; rename the file or folder.")
