"""An exported model, and a real sshd on loopback with keys of its own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runtime.test_trt import export

SSHD = shutil.which("sshd", path=f"/usr/sbin:/usr/local/sbin:{os.environ['PATH']}")


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A folder of exported models with one in it, ``fp32``."""
    path = tmp_path_factory.mktemp("exported")
    (path / "fp32").mkdir()
    export(path / "fp32")
    return path


class Device:
    """A loopback sshd, and an `ssh` that knows it as ``device``.

    OpenSSH finds the user's configuration by the password file, whatever `HOME` says; so the `ssh` on the path is a line of shell
    that hands everything to the system's, with the test's configuration before it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache, self.bin = folder, folder / "cache", folder / "bin"
        self.known, self.user = folder / "known", pwd.getpwuid(os.getuid()).pw_name
        self.bin.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for name in ("host", "user", "stranger"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        self.python(f'exec {sys.executable} -I "$@"')
        self.client("user")

    def client(self, key: str) -> None:
        """The client's configuration: the key it shows, and the host it knows."""
        self.known.write_text(f"[127.0.0.1]:{self.port} {(self.folder / 'host.pub').read_text()}")
        lines = ["Host device", "HostName 127.0.0.1", f"Port {self.port}", "Host *", "IdentitiesOnly yes", "IdentityAgent none"]
        lines += [f"IdentityFile {self.folder / key}", f"UserKnownHostsFile {self.known}", "GlobalKnownHostsFile /dev/null"]
        (self.folder / "config").write_text("\n".join(lines) + "\n")

    def python(self, line: str) -> None:
        """What the device's python3 is."""
        (self.bin / "python3").write_text(f"#!/bin/sh\n{line}\n")
        (self.bin / "python3").chmod(0o755)

    def start(self) -> None:
        """Start the server; what runs there finds programs in ``bin`` only."""
        settings = {
            "Port": self.port,
            "ListenAddress": "127.0.0.1",
            "HostKey": self.folder / "host",
            "AuthorizedKeysFile": self.folder / "user.pub",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PidFile": "none",
            "SetEnv": f"HOME={self.folder} XDG_CACHE_HOME={self.cache} PATH={self.bin} OMP_NUM_THREADS=1",  # no start-up files either
        }
        (self.folder / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.folder / "log").open("w") as log:
            self.server = subprocess.Popen([SSHD, "-D", "-e", "-f", self.folder / "sshd_config"], stderr=log)
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def cut(self) -> None:
        """Kill the server's connections."""
        for child in Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)

    def stop(self) -> None:
        """Stop the server."""
        self.server.terminate()
        self.server.wait()


@pytest.fixture
def device(tmp_path, monkeypatch):
    """A running one."""
    if SSHD is None:
        pytest.skip("no sshd is installed (apt install openssh-server)")
    folder = tmp_path / "device"
    folder.mkdir()
    (tmp_path / "path").mkdir()
    ssh = tmp_path / "path/ssh"
    ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/config "$@"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}{os.pathsep}{os.environ['PATH']}")
    one = Device(folder)
    one.start()
    yield one
    one.stop()
