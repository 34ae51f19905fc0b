"""Power and clocks. One file a source; `METERS` is the list."""

from collections.abc import Callable

from edgekd_runtime.errors import MissingError, UsageError
from edgekd_runtime.power import nvml, rapl, tegrastats
from edgekd_runtime.power.meter import Meter

METERS: dict[str, Callable[[], Meter]] = {
    "tegrastats": tegrastats.TegrastatsMeter,
    "nvml": nvml.NVMLMeter,
    "rapl": rapl.RAPLMeter,
}
AUTO = "auto"


def open_meter(name: str) -> Meter:
    """The meter of that name; ``auto`` is the first of `METERS` that works here.

    Raises:
        UsageError: If the name is unknown.
        MissingError: If it can't be read here; says what is missing, of all of them for ``auto``.
    """
    if name != AUTO and name not in METERS:
        raise UsageError(f"Unknown power source {name!r}; choose one of {', '.join((AUTO, *METERS))}.")
    reasons = []
    for one in METERS if name == AUTO else (name,):
        try:
            return METERS[one]()
        except MissingError as error:
            reasons.append(str(error))
    raise MissingError(" ".join(reasons))
