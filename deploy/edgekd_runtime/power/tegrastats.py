"""Jetson's tegrastats. Not run on a Jetson: tested on real lines of AGX Orin and Orin Nano."""

import re
import subprocess

from edgekd_runtime.errors import MissingError
from edgekd_runtime.power.meter import Integral, Meter

INTERVAL_MS = 100
_RAIL = re.compile(r"(\w+) (\d+)mW/(\d+)mW(?:/(\d+)mW)?")
_WHOLE = "VDD_IN"
"""Orin Nano and NX measure the module's input on this rail, which holds the others; AGX Orin has none such, its rails add up."""


def rails(line: str) -> dict[str, float]:
    """One line → watts now, by rail."""
    return {name: int(now) / 1e3 for name, now, _, _ in _RAIL.findall(line)}


def total_watts(line: str) -> float:
    """One line → watts of the module.

    Raises:
        MissingError: If it names no rail.
    """
    found = rails(line)
    if not found:
        raise MissingError(f"tegrastats names no power rail here ({line.strip()[:80]!r}); run it with sudo, or leave --power out.")
    return found.get(_WHOLE, sum(found.values()))


class TegrastatsMeter(Meter):
    """One tegrastats process, a line every tenth of a second."""

    name = "tegrastats"
    scope = "the module: VDD_IN, or the sum of the rails"

    def __init__(self) -> None:
        try:
            self._process = subprocess.Popen(["tegrastats", "--interval", str(INTERVAL_MS)], stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise MissingError("tegrastats is not on PATH; it comes with JetPack, on a Jetson only.") from error
        self._energy = Integral()
        try:
            self._energy.add(total_watts(self._line()))
        except (OSError, MissingError) as error:
            self.close()
            raise MissingError(str(error)) from error

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
