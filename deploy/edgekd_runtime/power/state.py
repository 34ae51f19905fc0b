"""Clocks, temperatures and throttling, before and after a measurement: what Linux and NVIDIA's tools show."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

SYS = Path("/sys")
TOOLS = {
    "nvpmodel": ["nvpmodel", "-q"],
    "jetson_clocks": ["jetson_clocks", "--show"],
    "nvidia_smi": ["nvidia-smi", "--query-gpu=name,clocks.sm,clocks.mem,temperature.gpu,power.draw", "--format=csv"],
}
"""Name → command; recorded as they answer, where they are on PATH."""
_NUMBERS: dict[str, tuple[str, float, Callable[[list[float]], float]]] = {
    "cpu_mhz": ("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq", 1e-3, min),
    "core_throttles": ("devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count", 1, sum),
    "hottest_celsius": ("class/thermal/thermal_zone*/temp", 1e-3, max),
    "gpu_mhz": ("class/devfreq/*gpu*/cur_freq", 1e-6, max),
}
"""Name → files under /sys, factor, how several become one: the slowest core, all throttlings, the hottest zone."""


def machine_state(root: Path = SYS) -> dict[str, Any]:
    """What is readable here; empty where nothing is.

    Args:
        root: Of sysfs.
    """
    state: dict[str, Any] = {}
    for name, (pattern, factor, merge) in _NUMBERS.items():
        if values := [value for file in sorted(root.glob(pattern)) if (value := _number(file)) is not None]:
            state[name] = round(merge(values) * factor, 3)
    for name, command in TOOLS.items():
        if (answer := _answer(command)) is not None:
            state[name] = answer
    return state


def throttling(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What the two states tell of throttling, in sentences."""
    times = after.get("core_throttles", 0) - before.get("core_throttles", 0)
    return [f"The processor throttled {times:g} times while it was measured; cool it, or lower the clocks."] if times > 0 else []


def _number(file: Path) -> float | None:
    try:
        return float(file.read_text())
    except (OSError, ValueError):  # sensors that are off answer with an error
        return None


def _answer(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
