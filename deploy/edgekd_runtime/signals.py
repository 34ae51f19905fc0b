"""SIGTERM (systemd, a container's stop, a scheduler) and SIGHUP (the terminal is gone) end a program as Ctrl-C does."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def endings(hear: Callable[[int], object]) -> Iterator[None]:
    """Call `hear` with the number of each of `SIGNALS` that comes meanwhile; it may raise.

    Those that the shell has ignored stay ignored (``nohup``, a job in the background), and off the main thread none can be heard.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    terminals = [file for file in (1, 2) if os.isatty(file)]

    def handle(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT and number != signal.SIGTERM:
            _forget(terminals)
        hear(number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in heard:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Raise KeyboardInterrupt for all of `SIGNALS`; for SIGTERM and SIGHUP once.

    Both often come twice, from a shell and from the kernel, and the second must not disturb the end that the first began.
    """
    ending = False

    def hear(number: int) -> None:
        nonlocal ending
        if number == signal.SIGINT or not ending:
            ending = True
            raise KeyboardInterrupt

    with endings(hear):
        yield


def _forget(terminals: Sequence[int]) -> None:
    """Let what is still said go nowhere: writing to a terminal that is gone is an error, which would cut the end short."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for file in terminals:
        os.dup2(nowhere, file)
    os.close(nowhere)


@contextmanager
def unheard_by_children() -> Iterator[None]:
    """Processes started meanwhile hear none of `SIGNALS`, which terminals and systemd send to all: they end when their input does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
