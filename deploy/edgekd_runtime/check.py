"""What this machine can run: the machine, the backends with what is missing, the TensorRT builders."""

from pathlib import Path
from typing import Any

from edgekd_runtime.backends import usable_backends
from edgekd_runtime.errors import MissingError
from edgekd_runtime.measurement import describe_device
from edgekd_runtime.trt.api import FAMILIES
from edgekd_runtime.trt.cuda import gpu_description, no_gpu_reason
from edgekd_runtime.trt.engine import require_builder


def check_machine() -> dict[str, Any]:
    """Everything as one JSON-safe dictionary.

    Returns:
        ``device``; ``gpu`` with its name, or why none can be used; ``jetpack``, the release line of a Jetson or None;
        ``backends`` and ``builders``: name → ``usable`` and ``detail``, the version or what to install.
    """
    reason = no_gpu_reason()
    backends = {name: {"usable": usable, "detail": detail} for name, (usable, detail) in usable_backends().items()}
    return {
        "device": describe_device(),
        "gpu": gpu_description() if reason is None else {"missing": reason},
        "jetpack": _jetson_release(),
        "backends": backends,
        "builders": {name: _builder(name) for name in FAMILIES},
    }


def _builder(name: str) -> dict[str, Any]:
    try:
        version = require_builder(name)
        elsewhere = FAMILIES[name].refusal(gpu_description()) if no_gpu_reason() is None else ""
        return {"usable": True, "detail": f"{version}, for other machines: {elsewhere}" if elsewhere else version}
    except MissingError as error:
        return {"usable": False, "detail": str(error)}


def _jetson_release() -> str | None:
    file = Path("/etc/nv_tegra_release")
    return file.read_text().splitlines()[0].lstrip("# ") if file.is_file() else None
