"""Power and clocks on fake sysfs trees and fake tools, with real tegrastats lines. None of it has run on a Jetson."""

import sys
import time

import pytest

from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.latency import Turn
from edgekd_runtime.power import METERS, open_meter
from edgekd_runtime.power.meter import Meter
from edgekd_runtime.power.rapl import RAPLMeter
from edgekd_runtime.power.sampler import Sampler
from edgekd_runtime.power.state import machine_state, throttling
from edgekd_runtime.power.tegrastats import rails, scope, total_watts
from tests.runtime.made_up import install_cuda

AGX_ORIN = (
    "RAM 3276/30536MB GR3D_FREQ 12%@[1300,1300] VDD_GPU_SOC 5139mW/5139mW/5139mW VDD_CPU_CV 3268mW/3268mW/3268mW "
    "VIN_SYS_5V0 5500mW/5500mW/5500mW"
)
THOR = "GR3D_FREQ 0% VDD_GPU -392mW/-392mW VDD_CPU_SOC_MSS 6510mW/6510mW VIN_SYS_5V0 6520mW/6520mW VIN 23400mW/23400mW"  # made up
ORIN_NANO = "GR3D_FREQ 0% cpu@50.125C tj@50.562C VDD_IN 6626mW/6625mW VDD_CPU_GPU_CV 1228mW/1230mW VDD_SOC 2380mW/2380mW"


def tool(folder, name, script):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def tree(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{content}\n")
    return root


def test_both_families_of_rails():
    assert rails(AGX_ORIN) == {"VDD_GPU_SOC": 5.139, "VDD_CPU_CV": 3.268, "VIN_SYS_5V0": 5.5}
    assert total_watts(AGX_ORIN) == pytest.approx(5.139 + 3.268 + 5.5)
    assert total_watts(ORIN_NANO) == 6.626  # the others are part of it
    assert total_watts(THOR) == 23.4 and rails(THOR)["VDD_GPU"] == -0.392  # VIN is the whole board; at rest a rail may read below 0
    assert [scope(line) for line in (AGX_ORIN, ORIN_NANO, THOR)] == [
        "the module: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0",
        "the module: VDD_IN",
        "the whole board: VIN",
    ]
    with pytest.raises(MissingError, match="names no power rail"):
        total_watts("RAM 3276/30536MB GR3D_FREQ 12%")


def test_tegrastats_is_integrated_and_ended(tmp_path, monkeypatch):
    tool(tmp_path / "bin", "tegrastats", f'echo "$@" > {tmp_path}/arguments\nwhile true; do echo "{ORIN_NANO}"; sleep 0.05; done')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    meter = open_meter("auto")
    first, begin = meter.joules(), time.perf_counter()
    for _ in range(5):
        last = meter.joules()
    assert meter.name == "tegrastats" and (last - first) / (time.perf_counter() - begin) == pytest.approx(6.626, rel=0.1)
    meter.close()
    assert meter._process.returncode is not None and (tmp_path / "arguments").read_text() == "--interval 100\n"


def test_tegrastats_that_says_nothing_is_told(tmp_path, monkeypatch):
    tool(tmp_path / "bin", "tegrastats", "exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    with pytest.raises(MissingError, match="tegrastats ended"):
        open_meter("tegrastats")


@pytest.fixture
def powercap(tmp_path):
    """Two packages, the parts of one, and the platform that holds both."""
    zones = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:1": "package-1", "intel-rapl:2": "psys"}
    files = {f"{zone}/name": name for zone, name in zones.items()}
    ranges = {f"{zone}/max_energy_range_uj": 262_143_328_850 for zone in zones}
    return tree(tmp_path / "powercap", files | ranges | {f"{zone}/energy_uj": 1_000_000 for zone in zones})


def test_rapl_adds_the_packages_alone(powercap):
    meter = RAPLMeter(powercap)
    tree(powercap, {"intel-rapl:0/energy_uj": 4_000_000, "intel-rapl:0:0/energy_uj": 3_000_000, "intel-rapl:1/energy_uj": 1_500_000})
    tree(powercap, {"intel-rapl:2/energy_uj": 9_000_000})
    assert meter.joules() == pytest.approx(3.5)


def test_rapl_counters_that_start_again(powercap):
    tree(powercap, {"intel-rapl:0/energy_uj": 262_143_000_000})
    meter = RAPLMeter(powercap)
    tree(powercap, {"intel-rapl:0/energy_uj": 2_000_000})
    assert meter.joules() == pytest.approx(0.328850 + 2.0)
    tree(powercap, {"intel-rapl:0/energy_uj": 3_000_000})
    assert meter.joules() == pytest.approx(0.328850 + 3.0)


def test_rapl_says_which_permission(powercap, monkeypatch):
    from pathlib import Path

    read = Path.read_text

    def refuse(file, *rest, **options):
        if file.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(file))
        return read(file, *rest, **options)

    monkeypatch.setattr(Path, "read_text", refuse)  # root, who may run the tests, is refused nothing
    with pytest.raises(MissingError, match=r"intel-rapl:0/energy_uj; allow it with `sudo chmod a\+r"):
        RAPLMeter(powercap)


def test_rapl_without_packages(tmp_path):
    with pytest.raises(MissingError, match="no processor package"):
        RAPLMeter(tmp_path)


BINDINGS = """
class NVMLError(Exception): pass
class NVMLError_NotSupported(NVMLError): pass
def nvmlInit(): {init}
def nvmlShutdown(): pass
def nvmlDeviceGetHandleByIndex(index): return f"gpu{{index}}"
def nvmlDeviceGetHandleByUUID(uuid): return uuid
def nvmlDeviceGetPowerUsage(gpu): {power}
def nvmlDeviceGetTotalEnergyConsumption(gpu): {energy}
"""


@pytest.fixture
def bindings(tmp_path, monkeypatch):
    """Install nvidia-ml-py's functions, as far as they are used, with these bodies."""

    def install(init="pass", power="return 250_000", energy='raise NVMLError_NotSupported("Not Supported")'):
        (tmp_path / "pynvml.py").write_text(BINDINGS.format(init=init, power=power, energy=energy))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "pynvml", raising=False)

    yield install
    sys.modules.pop("pynvml", None)


def test_nvml_is_in_milliwatts(bindings):
    bindings()
    meter = open_meter("nvml")
    first, begin = meter.joules(), time.perf_counter()
    for _ in range(4):
        last = meter.joules()
    assert (last - first) / (time.perf_counter() - begin) == pytest.approx(250, rel=0.1)


def test_nvml_counts_where_it_can_because_the_power_it_tells_is_a_mean_of_the_last_second(bindings):
    bindings(energy="import time; return int(time.perf_counter() * 100_000)", power="return 250_000")
    meter = open_meter("nvml")
    first, begin = meter.joules(), time.perf_counter()
    for _ in range(4):
        last = meter.joules()
    assert (last - first) / (time.perf_counter() - begin) == pytest.approx(100, rel=0.1)


def test_nvml_that_does_not_tell(bindings):
    bindings(power='raise NVMLError_NotSupported("Not Supported")')
    with pytest.raises(MissingError, match="--power tegrastats"):
        open_meter("nvml")


def test_nvml_without_a_driver(bindings):
    bindings(init='raise NVMLError("Driver Not Loaded")')
    with pytest.raises(MissingError, match="Driver Not Loaded"):
        open_meter("nvml")


def test_what_is_missing_is_said_of_each(monkeypatch):
    with pytest.raises(UsageError, match="choose one of auto, tegrastats, nvml, rapl"):
        open_meter("watts")

    def missing(name):
        def refuse():
            raise MissingError(f"no {name}.")

        return refuse

    for name in METERS:
        monkeypatch.setitem(METERS, name, missing(name))
    with pytest.raises(MissingError, match=r"^no tegrastats\. no nvml\. no rapl\.$"):
        open_meter("auto")


class Steady(Meter):
    """5 W for the first 0.3 s, 25 W afterwards."""

    name, scope = "steady", "a fake"

    def __init__(self):
        self.begin = time.perf_counter()

    def joules(self):
        time.sleep(0.01)
        seconds = time.perf_counter() - self.begin
        return 5 * seconds + 20 * max(0.0, seconds - 0.3)


def test_joules_a_frame_with_and_without_idle():
    for idle, expected in ((0.0, 25.0), (0.25, 20.0)):
        meter = Steady()
        with Sampler(meter, idle) as sampler:
            time.sleep(max(0.0, meter.begin + 0.35 - time.perf_counter()))
            start = time.perf_counter()
            time.sleep(0.2)
            turn = Turn(start, time.perf_counter(), (0.02,) * 10)
        energy = sampler.energy([turn])
        assert energy.watts == pytest.approx(25, rel=0.02)
        assert energy.joules_per_frame == pytest.approx(expected * (turn.stop - turn.start) / 10, rel=0.03)
        assert energy.idle_watts == (pytest.approx(5, rel=0.05) if idle else None)
        assert sampler.energy([turn], batch=4).joules_per_frame == pytest.approx(energy.joules_per_frame / 4)


def test_a_meter_that_stops_is_told():
    class Broken(Steady):
        def joules(self):
            raise OSError("unplugged")

    with Sampler(Broken()) as sampler:
        time.sleep(0.05)
    with pytest.raises(EdgeKDError, match="steady did not tell the power \\(unplugged\\)"):
        sampler.energy([Turn(0.0, 1.0, (1.0,))])


def test_the_state_is_of_the_slowest_core_and_the_hottest_zone(tmp_path, monkeypatch):
    files = {
        "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": 1_200_000,
        "devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": 3_400_000,
        "devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": 2,
        "devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": 1,
        "class/thermal/thermal_zone0/temp": 48_500,
        "class/thermal/thermal_zone1/temp": 61_250,
        "class/thermal/thermal_zone2/temp": "off",
        "class/devfreq/17000000.gpu/cur_freq": 918_000_000,
    }
    tool(tmp_path / "bin", "nvpmodel", '[ "$*" = -q ] && echo "NV Power Mode: MAXN" && echo 0')
    tool(tmp_path / "bin", "jetson_clocks", '[ "$*" = --show ] && echo "cpu0: Online=1 MinFreq=1190400"')
    tool(tmp_path / "bin", "nvidia-smi", "echo no driver >&2; exit 9")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert machine_state(tree(tmp_path / "sys", files)) == {
        "cpu_mhz": 1200,
        "core_throttles": 3,
        "hottest_celsius": 61.25,
        "gpu_mhz": 918,
        "nvpmodel": "NV Power Mode: MAXN\n0",
        "jetson_clocks": "cpu0: Online=1 MinFreq=1190400",
    }


def test_a_machine_that_shows_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine_state(tmp_path) == {}
    assert throttling({}, {}) == [] and throttling({"core_throttles": 3}, {"core_throttles": 3}) == []
    assert "throttled 2 times" in throttling({"core_throttles": 3}, {"core_throttles": 5})[0]


class Counter(Meter):
    """10 W, told every 0.1 s and read a hundred times a second."""

    name, scope = "counter", "a fake"

    def __init__(self):
        self.begin = time.perf_counter()

    def joules(self):
        time.sleep(0.01)
        return int((time.perf_counter() - self.begin) * 10)


def test_updates_are_counted_not_polls():
    with Sampler(Counter()) as sampler:
        start = time.perf_counter()
        time.sleep(0.45)
        turn = Turn(start, time.perf_counter(), (0.45,))
    assert 3 <= sampler.readings([turn]) <= 5
    assert sampler.energy([turn]).watts == pytest.approx(10, rel=0.1)


def test_nvml_reads_the_gpu_that_cuda_uses(bindings, monkeypatch):
    """NVML counts in the bus's order, and sees what CUDA_VISIBLE_DEVICES hides."""
    bindings(energy="import time; return int(time.perf_counter() * (7_000 if gpu.startswith('GPU-0001') else 1_000))")
    assert open_meter("nvml").scope == "the board of NVML's GPU 0"
    install_cuda(monkeypatch)
    meter = open_meter("nvml")
    first, begin = meter.joules(), time.perf_counter()
    for _ in range(4):
        last = meter.joules()
    assert (last - first) / (time.perf_counter() - begin) == pytest.approx(7, rel=0.1)
    assert meter.scope == "the board of GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"
