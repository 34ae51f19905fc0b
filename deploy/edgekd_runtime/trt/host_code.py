"""Code that an engine brings with it runs on the host when it is loaded: only the user can allow it, never a file beside the engine."""

import os

SWITCH = "EDGEKD_ENGINE_HOST_CODE"
FLAG = "--allow-host-code"
HELP = "load version-compatible engines, which bring code that runs on this machine; for engines whose origin you trust"


def allow() -> None:
    """For this process and those it starts."""
    os.environ[SWITCH] = "1"


def is_allowed() -> bool:
    """Whether the user allowed it."""
    return os.environ.get(SWITCH) == "1"
