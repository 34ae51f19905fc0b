"""Ctrl-C, SIGTERM or SIGHUP while training: the step is finished and kept, and nothing is lost; a second Ctrl-C ends it at once."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edgekd_runtime.signals import endings


@contextmanager
def asked_to_end() -> Iterator[threading.Event]:
    """An event that the first of these signals sets; never where none can be heard, see `edgekd_runtime.signals.endings`."""
    asked = threading.Event()

    def ask(number: int) -> None:
        if not asked.is_set():
            asked.set()
            with suppress(OSError):  # nobody reads stderr any more
                os.write(2, b"\nFinishing this step; Ctrl-C again ends at once.\n")  # the bar's locks may be held by what was interrupted
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    with endings(ask):
        yield asked
