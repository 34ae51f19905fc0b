"""A machine behind the system's `ssh`, which brings the user's own configuration, keys and agent."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError

_URL = re.compile(r"ssh://(?:(?P<user>\w[\w.+-]*)@)?(?P<host>\w[\w.-]*|\[[0-9a-fA-F:.]+(?:%\w+)?\])(?::(?P<port>[0-9]{1,5}))?/?", re.ASCII)
_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15")
SSH_FAILED = 255
"""Exit status of `ssh` where it failed itself, and not what it ran."""

_REASONS = (
    (r"Could not resolve hostname", "there is no such host; check the name, or add it to ~/.ssh/config"),
    (r"Connection refused", "it refuses the connection; start sshd there, or give its port as ssh://HOST:PORT"),
    (r"timed out|No route to host|Network is unreachable", "it does not answer; check that it is on and in reach"),
    (r"IDENTIFICATION HAS CHANGED", "its host key has changed; if you know why, remove the old one with `ssh-keygen -R HOST`"),
    (r"Host key verification failed", "its host key is not known here yet; connect once by hand with `ssh` and accept it"),
    (r"Permission denied|Too many authentication failures", "it rejects the key; bring yours there with `ssh-copy-id`"),
    (r"[Bb]ad configuration option|Bad owner or permissions|terminating, ", "the ssh configuration here is faulty; try `ssh HOST` by hand"),
)


@dataclass(frozen=True)
class Target:
    """Where to: ``ssh://[user@]host[:port]``; what is left out, the user's ssh configuration says."""

    host: str
    user: str | None = None
    port: int | None = None

    @staticmethod
    def parse(url: str) -> "Target":
        """Read a URL.

        Raises:
            UsageError: If it is anything but a plain user, host and port.
        """
        found = _URL.fullmatch(url)
        if found is None or not 0 < int(found["port"] or 22) < 1 << 16:
            raise UsageError(f"A device is ssh://USER@HOST:PORT, of which USER@ and :PORT may be left out, not {url!r}.")
        return Target(found["host"].strip("[]"), found["user"], int(found["port"]) if found["port"] else None)

    def command(self, words: Sequence[str]) -> list[str]:
        """The argument list that runs `words` there, each quoted for the shell there.

        Raises:
            MissingError: If there is no `ssh` here.
        """
        if shutil.which("ssh") is None:
            raise MissingError("There is no ssh here: apt install openssh-client.")
        user = ("-l", self.user) if self.user else ()
        port = ("-p", str(self.port)) if self.port else ()
        return ["ssh", *_OPTIONS, *user, *port, "--", self.host, shlex.join(words)]

    def start(
        self, words: Sequence[str], stdout: int | IO[bytes] = subprocess.PIPE, stderr: int | IO[bytes] = subprocess.PIPE
    ) -> "subprocess.Popen[bytes]":
        """Run `words` there, with a pipe for stdin and for what is given no file."""
        return subprocess.Popen(self.command(words), stdin=subprocess.PIPE, stdout=stdout, stderr=stderr)

    def failure(self, status: int, said: str) -> EdgeKDError:
        """The error that an exit status and what was said on stderr stand for.

        Args:
            status: Of `ssh`: what ran there, or `SSH_FAILED`.
            said: Its stderr.
        """
        lines = [line for line in said.splitlines() if line.strip()] or ["no reason given"]
        if status == SSH_FAILED:
            for pattern, reason in _REASONS:
                if re.search(pattern, said):
                    return MissingError(f"Can't reach {self.host}: {reason}.")
            return EdgeKDError(
                f"The connection to {self.host} was cut, or the program there killed ({lines[-1]}); run the same command again: "
                "the copy goes on where it stopped."
            )
        if status == 127:
            return MissingError(f"There is no python3 on {self.host}: sudo apt install python3.")
        sentence = next((line.removeprefix("Error: ") for line in reversed(lines) if line.startswith("Error: ")), lines[-1])
        kind = next((kind for kind in (UsageError, MissingError) if kind.exit_code == status), EdgeKDError)
        return kind(f"On {self.host}: {sentence}")
