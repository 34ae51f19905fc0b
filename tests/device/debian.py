"""Packages of Debian, unpacked into a folder: for another processor or of another release, without root and without touching the system."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

CONFIGURATION = """APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
Acquire::Languages "none";
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
"""


class UnavailableError(Exception):
    """Why something can't be had here."""


def release() -> str:
    """The name of this machine's Debian, such as bookworm.

    Raises:
        UnavailableError: If it is another system.
    """
    about = platform.freedesktop_os_release()
    if about.get("ID") != "debian" or not shutil.which("apt-get"):
        raise UnavailableError(f"packages are taken from Debian's archive by apt, and this is {about.get('NAME')}")
    return about["VERSION_CODENAME"]


class Archive:
    """Debian's archive for one release and processor, with an apt of its own below a folder.

    Args:
        folder: For apt; removed by `close`.
        suite: Release.
        architecture: Processor, such as ``arm64``.

    Raises:
        UnavailableError: If it can't be reached.
    """

    def __init__(self, folder: Path, suite: str, architecture: str) -> None:
        release()
        self._folder = folder
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb http://deb.debian.org/debian {suite} main\n")
        (folder / "apt.conf").write_text(CONFIGURATION.format(folder=folder, architecture=architecture))
        self._environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
        self._run("apt-get", "update", "-q", "--error-on=any")

    def dependency(self, package: str, pattern: str) -> str:
        """The first group of a pattern in what apt says that a package depends on."""
        return re.search(pattern, self._run("apt-cache", "depends", package))[1]

    def unpack(self, packages: Sequence[str], target: Path, *, alone: bool = False) -> None:
        """Unpack packages and what they depend on; `alone`, without that."""
        if alone:
            self._run("apt-get", "download", "-q", *packages)
        else:
            self._run("apt-get", "install", "-q", "-y", "--download-only", *packages)
        for file in (self._folder if alone else self._folder / "cache/archives").glob("*.deb"):
            self._run("dpkg-deb", "-x", file, target)

    def close(self) -> None:
        """Remove what apt kept."""
        shutil.rmtree(self._folder)

    def _run(self, *command: object) -> str:
        return run(command, env=self._environment, cwd=self._folder)


def run(command: Sequence[object], **options: object) -> str:
    """What a command prints.

    Raises:
        UnavailableError: With the last line of its complaint.
    """
    words = [str(part) for part in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no reason given"]
        raise UnavailableError(f"{' '.join(words[:4])} failed: {last[0]}")
    return done.stdout
