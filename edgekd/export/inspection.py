"""Looking into an exported file: its graph, its sidecar, and, where a GPU can load it, the layers of an engine."""

from pathlib import Path
from typing import Any

from edgekd.console import note
from edgekd_calib.summary import summarise
from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.backends import open_session
from edgekd_runtime.backends.tensorrt import TensorRTSession
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.trt.layers import engine_layers, engine_precisions


def inspect_model(file: Path) -> dict[str, Any]:
    """Everything known of a file, JSON-safe.

    Args:
        file: ``.onnx`` or ``.engine``; a sidecar beside it is read where there is one.

    Raises:
        UsageError: If it is neither.
        EdgeKDError: If it is missing or damaged, or not the one that its sidecar describes.
    """
    if file.suffix not in (".onnx", ".engine"):
        raise UsageError(f"{file} is neither a .onnx nor a .engine file.")
    if not file.is_file():
        raise EdgeKDError(f"Can't read {file}: there is no such file.")
    found: dict[str, Any] = {}
    if file.suffix == ".onnx":
        found["graph"] = summarise(file).to_json()
    if (file.parent / "model.json").is_file():
        found["sidecar"] = load_artifact(file).to_json()
    if file.suffix == ".engine":
        found["engine_layers"] = _engine_layers(file)
    return found


def _engine_layers(file: Path) -> dict[str, int]:
    """Not run here beyond the missing GPU: engines load on the GPU that they were built for."""
    try:
        with open_session(file) as session:
            return dict(engine_precisions(engine_layers(session.engine))) if isinstance(session, TensorRTSession) else {}
    except MissingError as error:
        note(f"The engine's layers can't be listed here: {error}")
        return {}
