"""Other processors by QEMU's user mode: programs of theirs run as programs here, without a virtual machine, a chroot or root.

For aarch64 a folder is prepared once: Debian's Python for arm64 unpacked, the wheels that the constraints name for aarch64, and an Arm
``/proc/cpuinfo``, without which ONNX Runtime crashes on import. Nothing that is timed here means anything for a device.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

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
APT = """APT::Architecture "arm64";
APT::Architectures {{ "arm64"; }};
APT::Install-Recommends "false";
Acquire::Languages "none";
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
"""


class UnavailableError(Exception):
    """Why a processor can't be emulated here."""


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
    qemu = emulator("aarch64")
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian" or not shutil.which("apt-get"):
        raise UnavailableError(f"its packages are taken from Debian's archive by apt, and this is {release.get('NAME')}")
    wanted = f"{release['VERSION_CODENAME']}\n{Path(__file__).read_text()}{(ROOT / 'constraints.txt').read_text()}"
    python, stamp = PREPARED / "bin/python3", PREPARED / "made-for"  # right beside .venv/pyvenv.cfg it would take that for its own
    if not stamp.is_file() or stamp.read_text() != wanted:
        shutil.rmtree(PREPARED, ignore_errors=True)
        version = _unpack_debian(release["VERSION_CODENAME"])
        _install_wheels(version)
        (PREPARED / "root/proc").mkdir()
        (PREPARED / "root/proc/cpuinfo").write_text(CPUINFO)
        python.parent.mkdir()
        program = f"{PREPARED}/root/usr/bin/python{version}"
        paths = f'PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{PREPARED}/wheels"'
        python.write_text(f'#!/bin/sh\n{paths} exec {qemu} -L "{PREPARED}/root" -0 "{python}" "{program}" "$@"\n')
        python.chmod(0o755)
        stamp.write_text(wanted)
    return python


def arm_environment(processor: str) -> dict[str, str]:
    """The environment that makes `arm_python` one of `PROCESSORS`."""
    file = PREPARED / "root/proc/cpuinfo"
    file.write_text(re.sub(r"(CPU part\t: )\S+", rf"\g<1>{PROCESSORS[processor]}", CPUINFO))
    return {**os.environ, "QEMU_CPU": processor, "OMP_NUM_THREADS": "1"}


def _unpack_debian(suite: str) -> str:
    """Python and what it needs, below ``root``; returns its version, such as 3.11."""
    folder = PREPARED / "apt"
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb http://deb.debian.org/debian {suite} main\n")
    (folder / "apt.conf").write_text(APT.format(folder=folder))
    apt = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
    _run(["apt-get", "update", "-q", "--error-on=any"], apt)
    version = re.search(r"libpython(3\.\d+)-stdlib", _run(["apt-cache", "depends", PACKAGES[0]], apt))[1]
    wanted = [*PACKAGES, f"python{version}-minimal"]
    _run(["apt-get", "install", "-q", "-y", "--download-only", *wanted], apt)
    for package in (folder / "cache/archives").glob("*.deb"):
        _run(["dpkg-deb", "-x", package, PREPARED / "root"])
    shutil.rmtree(folder)
    return version


def _install_wheels(version: str) -> None:
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "-c", ROOT / "constraints.txt", "--target", PREPARED / "wheels"]
    platforms = [part for name in PLATFORMS for part in ("--platform", name)]
    _run([*install, *platforms, "--python-version", version, "--only-binary=:all:", *WHEELS])
    _run([*install, *PURE])


def _run(command: list[object], environment: dict[str, str] | None = None) -> str:
    words = [str(part) for part in command]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise UnavailableError(f"{' '.join(words[:4])} failed: {last[0]}")
    return done.stdout
