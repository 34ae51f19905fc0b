"""Models on another machine: the one-file bundle, and benchmarks over ssh."""

from edgekd.device.bundle import write_bundle
from edgekd.device.remote import DeviceOptions, bench_on_device, device_facts

__all__ = ["DeviceOptions", "bench_on_device", "device_facts", "write_bundle"]
