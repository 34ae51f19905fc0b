"""Errors that a user can make, each with the process exit code it leads to.

The command line prints ``str(error)`` and exits with ``error.exit_code``; nothing else in the project calls ``sys.exit``.
"""


class EdgeKDError(Exception):
    """Something failed at run time. The message is one sentence that names the file and the mend."""

    exit_code = 1


class UsageError(EdgeKDError):
    """The command line or the recipe asks for something that cannot be."""

    exit_code = 2


class MissingError(EdgeKDError):
    """A device or an optional dependency is absent; the message holds the install line."""

    exit_code = 3


class StoppedError(EdgeKDError):
    """Ctrl-C, SIGTERM or SIGHUP ended it; the message says what is kept and how to go on. The code is the shell's for Ctrl-C."""

    exit_code = 130


class BrokenStreamError(EdgeKDError):
    """A camera or a stream ended by itself; what came before is kept."""


class GateError(EdgeKDError):
    """A quality gate was missed: parity, accuracy drop or latency budget."""

    exit_code = 4
