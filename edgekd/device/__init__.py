"""Models on another machine: the one-file bundle, and benchmarks over ssh."""

from edgekd.device.bench import DeviceOptions, bench_on_device
from edgekd.device.bundle import write_bundle

__all__ = ["DeviceOptions", "bench_on_device", "write_bundle"]
