"""Arguments that several verbs share, and progress."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from edgekd_runtime.bundle import Bundle


def models_argument(parser: argparse.ArgumentParser, bundle: Bundle | None) -> None:
    """Model files or folders; a bundle's own where none is named."""
    if bundle is None:
        parser.add_argument("models", nargs="+", type=Path)
    else:
        parser.add_argument("models", nargs="*", type=Path, default=[bundle.models], help="the bundled ones by default")


def between(least: float, most: float, inside: bool = False) -> Callable[[str], float]:
    """A number from `least` to `most`, or `inside` of them; never NaN."""

    def number(text: str) -> float:
        value = float(text)
        if not (least < value < most if inside else least <= value <= most):
            raise argparse.ArgumentTypeError(f"{text} is not {'inside' if inside else 'from'} {least:g} to {most:g}")
        return value

    return number


def at_least(least: int) -> Callable[[str], int]:
    """A whole number from `least` on."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least}")
        return value

    return number


class Progress:
    """Call with (what, done, all): one line that changes on a terminal, a line every few seconds elsewhere, on stderr."""

    def __init__(self, every: float = 5.0) -> None:
        self._every, self._last = every, time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show it."""
        if sys.stderr.isatty():
            print(f"\r{what}: {done}/{total or '?'}", end="\n" if done == total else "", file=sys.stderr, flush=True)
        elif time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            print(f"{what}: {done}/{total or '?'}", file=sys.stderr, flush=True)
