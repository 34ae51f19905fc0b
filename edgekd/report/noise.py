"""Whether the latencies can be relied on, told where they stand."""

from collections.abc import Sequence

from edgekd.report.words import plural
from edgekd_runtime.decision import CURE
from edgekd_runtime.latency import DRIFT_LIMIT, SPREAD_LIMIT
from edgekd_runtime.measurement import Measurement


def noise(measured: Sequence[Measurement]) -> str:
    """How many latencies are noisy, by how much, and what to do; empty if none is."""
    networks = [one.latency["network"] for one in measured if "network" in one.latency]
    noisy = [network for network in networks if network.doubtful]
    if not noisy:
        return ""
    spread, drift = max(one.spread for one in noisy), max((one.drift for one in noisy), key=abs)
    causes = []
    if spread > SPREAD_LIMIT:
        causes.append(f"the interquartile range is up to {100 * spread:,.0f} % of the median (limit {100 * SPREAD_LIMIT:.0f} %)")
    if abs(drift) > DRIFT_LIMIT:
        way = "slower" if drift > 0 else "faster"
        causes.append(f"the last round was up to {100 * abs(drift):,.0f} % {way} than the first (limit {100 * DRIFT_LIMIT:.0f} %)")
    which = "All latencies are" if len(noisy) == len(measured) else f"The latencies of {len(noisy):,} of {plural(len(measured), 'row')} are"
    return f"{which} noisy: {'; '.join(causes)}. They are marked with ~, and no ratio is shown of them. To measure again, {CURE}."
