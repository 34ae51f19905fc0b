"""The stack that a thread's signal handlers run on, kept as it is while a library replaces it."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = [("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Put this thread's alternate signal stack back as it was before.

    OpenVINO installs one with each model and puts back, when the model goes, the one it found. Of two models that go in the order in which
    they came, the second puts back the first one's, whose memory is gone by then; the next signal that Python handles (Ctrl-C, the end of
    a loader's process) is then a segmentation fault.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    libc, before = ctypes.CDLL(None), _Stack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        libc.sigaltstack(ctypes.byref(before), None)
