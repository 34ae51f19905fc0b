"""Other processors by QEMU's user mode: programs of theirs run as programs here, without a virtual machine, a chroot or root.

For aarch64 a folder is prepared once: Debian's Python for arm64 unpacked, the wheels that the constraints name for aarch64, and an Arm
``/proc/cpuinfo``, without which ONNX Runtime crashes on import. Nothing that is timed here means anything for a device.
"""

import fcntl
import os
import re
import shutil
import sys
from pathlib import Path

from tests.device.debian import Archive, UnavailableError, release, run

ROOT = Path(__file__).parents[2]
PREPARED = (ROOT / ".venv").resolve() / "emulated-aarch64"
PACKAGES = ("libpython3-stdlib", "libstdc++6")
"""What Python and the wheels need of the system; the first names the version of Debian's Python."""
WHEELS = ("numpy", "opencv-python-headless", "onnxruntime", "tensorrt_rtx_cu13_bindings", "tensorrt_rtx_cu13_libs")
PURE = ("tensorrt_rtx_cu13",)
"""Published as source alone, which is pure Python."""
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_28_aarch64", "manylinux_2_35_aarch64")
PROCESSORS = {"cortex-a72": "0xd08", "neoverse-n1": "0xd0c"}
"""QEMU's name → part number: without and with the 8-bit dot products that Jetson Orin's cores have, too."""
CPUINFO = """processor\t: 0
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""


def emulator(machine: str) -> str:
    """QEMU's program for a machine's programs.

    Raises:
        UnavailableError: If it is not installed.
    """
    found = shutil.which(f"qemu-{machine}-static")
    if found is None:
        raise UnavailableError(f"there is no qemu-{machine}-static (apt install qemu-user-static)")
    return found


def arm_python() -> Path:
    """A Python of aarch64 with the runtime's libraries; prepared on the first call, and again when the constraints change.

    Raises:
        UnavailableError: If there is no QEMU, no Debian to take packages from, or no network.
    """
    qemu, suite = emulator("aarch64"), release()
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.partition("==")[0] in (*WHEELS, *PURE)]
    wanted = "\n".join([qemu, suite, *PACKAGES, *PLATFORMS, *pins])
    python, stamp = PREPARED / "bin/python3", PREPARED / "made-for"  # right beside .venv/pyvenv.cfg it would take that for its own
    with PREPARED.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != wanted:
            shutil.rmtree(PREPARED, ignore_errors=True)
            _prepare(qemu, suite, python)
            stamp.write_text(wanted)
    return python


def _prepare(qemu: str, suite: str, python: Path) -> None:
    version = _unpack_python(suite)
    _install_wheels(version)
    (PREPARED / "root/proc").mkdir()
    (PREPARED / "root/proc/cpuinfo").write_text(CPUINFO)
    python.parent.mkdir()
    program = f"{PREPARED}/root/usr/bin/python{version}"
    paths = f'PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{PREPARED}/wheels"'
    python.write_text(f'#!/bin/sh\n{paths} exec {qemu} -L "{PREPARED}/root" -0 "{python}" "{program}" "$@"\n')
    python.chmod(0o755)


def arm_environment(processor: str) -> dict[str, str]:
    """The environment that makes `arm_python` one of `PROCESSORS`."""
    file = PREPARED / "root/proc/cpuinfo"
    file.write_text(re.sub(r"(CPU part\t: )\S+", rf"\g<1>{PROCESSORS[processor]}", CPUINFO))
    return {**os.environ, "QEMU_CPU": processor, "OMP_NUM_THREADS": "1"}


def _unpack_python(suite: str) -> str:
    """Python and what it needs, below ``root``; returns its version, such as 3.11."""
    archive = Archive(PREPARED / "apt", suite, "arm64")
    version = archive.dependency(PACKAGES[0], r"libpython(3\.\d+)-stdlib")
    archive.unpack([*PACKAGES, f"python{version}-minimal"], PREPARED / "root")
    archive.close()
    return version


def _install_wheels(version: str) -> None:
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "-c", ROOT / "constraints.txt", "--target", PREPARED / "wheels"]
    platforms = [part for name in PLATFORMS for part in ("--platform", name)]
    run([*install, *platforms, "--python-version", version, "--only-binary=:all:", *WHEELS])
    run([*install, *PURE])
