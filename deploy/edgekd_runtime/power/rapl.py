"""Running average power limit: the energy counters of Intel and AMD processors, under Linux's powercap."""

import time
from pathlib import Path

from edgekd_runtime.errors import MissingError
from edgekd_runtime.power.meter import Meter

ROOT = Path("/sys/class/powercap")
INTERVAL_S = 0.05


class RAPLMeter(Meter):
    """The sum of the processor packages. Their sub-zones (core, DRAM on desktops) and ``psys`` overlap them and are left out.

    Args:
        root: Where powercap is mounted.
    """

    name = "rapl"
    scope = "the processor packages"

    def __init__(self, root: Path = ROOT) -> None:
        zones = [zone for zone in sorted(root.glob("intel-rapl:*")) if (zone / "name").read_text().startswith("package")]
        if not zones:
            raise MissingError(
                f"{root} has no processor package; energy counters need an Intel or AMD processor that is no virtual machine."
            )
        self._files = [zone / "energy_uj" for zone in zones]
        self._ranges = [int((zone / "max_energy_range_uj").read_text()) for zone in zones]
        try:
            self._last = self._counters()
        except PermissionError as error:
            raise MissingError(
                f"Only root reads {error.filename}; allow it with `sudo chmod a+r {root}/intel-rapl:*/energy_uj`."
            ) from error
        self._microjoules = 0

    def _counters(self) -> list[int]:
        return [int(file.read_text()) for file in self._files]

    def joules(self) -> float:
        time.sleep(INTERVAL_S)
        now = self._counters()
        for before, after, most in zip(self._last, now, self._ranges, strict=True):
            # a counter starts again at 0 after its range, minutes at full power: never twice between readings
            self._microjoules += after - before if after >= before else after - before + most
        self._last = now
        return self._microjoules / 1e6
