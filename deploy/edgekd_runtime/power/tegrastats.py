"""Jetson's tegrastats. Not run on a Jetson: tested on real lines of AGX Orin and Orin Nano, and on the names of Thor's rails."""

import re
import subprocess

from edgekd_runtime.errors import MissingError
from edgekd_runtime.power.meter import Integral, Meter

INTERVAL_MS = 100
_RAIL = re.compile(r"(\w+) (-?\d+)mW/(-?\d+)mW(?:/(-?\d+)mW)?")
_WHOLE = {"VDD_IN": "the module: VDD_IN", "VIN": "the whole board: VIN"}
"""Rails that hold the others: the module's input of Orin Nano and NX, and the input of Thor's whole board, which a sum would count
twice. AGX Orin has none such: its rails add up."""


def rails(line: str) -> dict[str, float]:
    """One line → watts now, by rail."""
    return {name: int(now) / 1e3 for name, now, _, _ in _RAIL.findall(line)}


def total_watts(line: str) -> float:
    """One line → watts, of what `scope` says.

    Raises:
        MissingError: If it names no rail.
    """
    found = rails(line)
    if not found:
        raise MissingError(f"tegrastats names no power rail here ({line.strip()[:80]!r}); run it with sudo, or leave --power out.")
    return next((found[name] for name in _WHOLE if name in found), sum(found.values()))


def scope(line: str) -> str:
    """What `total_watts` of a line counts, in words."""
    found = rails(line)
    return next((words for name, words in _WHOLE.items() if name in found), f"the module: {' + '.join(found)}")


class TegrastatsMeter(Meter):
    """One tegrastats process, a line every tenth of a second."""

    name = "tegrastats"

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(["tegrastats", "--interval", str(INTERVAL_MS)], stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise MissingError("tegrastats is not on PATH; it comes with JetPack, on a Jetson only.") from error
        self._energy = Integral()
        try:
            line = self._line()
            self._energy.add(total_watts(line))
        except (OSError, MissingError) as error:
            self.close()
            raise MissingError(str(error)) from error
        self.scope = scope(line)

    def _line(self) -> str:
        assert self._process.stdout is not None  # piped above
        if line := self._process.stdout.readline():
            return line
        raise OSError("tegrastats ended before the measurement did; run it by hand to see why.")

    def joules(self) -> float:
        return self._energy.add(total_watts(self._line()))

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate()
