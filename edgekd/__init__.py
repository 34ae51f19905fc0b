"""Distil light segmentation students, export them, prove their latency and mIoU on the device, run them on video.

``import edgekd`` is light: each name loads what it needs when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgekd.builds import one_build
from edgekd_runtime import __version__

if TYPE_CHECKING:
    from edgekd.api import bench, distill, distiller, evaluate, export, predict, train
    from edgekd.distill import functional as losses
    from edgekd.export.adopt import adopt
    from edgekd.models.open import open_network
    from edgekd_runtime.backends import open_session

_FACE = {
    **dict.fromkeys(("bench", "distiller", "evaluate", "predict"), "edgekd.api"),
    "adopt": "edgekd.export.adopt",
    "open_network": "edgekd.models.open",
    "open_session": "edgekd_runtime.backends",
}
_ROOMS = {
    "distill": "edgekd.distill",
    "export": "edgekd.export",
    "losses": "edgekd.distill.functional",
    "train": "edgekd.train",
}
"""Modules: three of them can be called, see `edgekd.rooms`."""

__all__ = [
    "__version__",
    "adopt",
    "bench",
    "distill",
    "distiller",
    "evaluate",
    "export",
    "losses",
    "open_network",
    "open_session",
    "predict",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS and name not in _FACE:
        raise AttributeError(f"module 'edgekd' has no attribute {name!r}")
    with one_build():
        return import_module(_ROOMS[name]) if name in _ROOMS else getattr(import_module(_FACE[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
