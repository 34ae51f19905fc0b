"""Looking into an exported file: its graph, its sidecar, and, where a GPU can load it, the layers of an engine."""

from pathlib import Path
from typing import Any

from edgekd_calib.summary import summarise
from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.backends import open_session
from edgekd_runtime.backends.tensorrt import TensorRTSession
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.trt.engine import rebuild_command
from edgekd_runtime.trt.inspected import engine_layers, engine_precisions


def inspect_model(file: Path) -> dict[str, Any]:
    """Everything known of a file, JSON-safe.

    Args:
        file: ``.onnx`` or ``.engine``; a sidecar beside it is read where there is one.

    Raises:
        UsageError: If it is neither.
        EdgeKDError: If it is missing or damaged, or not the one that its sidecar describes; or if an engine has no sidecar, or does not
            fit the GPU that is here.
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
        found |= _of_engine(file)
    return found


def _of_engine(file: Path) -> dict[str, Any]:
    """Its layers, and what builds it again. Not run here beyond the missing GPU: engines load on the GPU that they were built for."""
    artifact = load_artifact(file)
    found: dict[str, Any] = {"rebuild": rebuild_command(artifact, file.parent)}
    try:
        with open_session(file) as session:
            layers = engine_precisions(engine_layers(session.engine)) if isinstance(session, TensorRTSession) else {}
            return found | {"engine_layers": dict(layers), "not_looked_into": None}
    except MissingError as error:
        why = f"The engine itself was not looked into, all that is shown is its sidecar: {error}"
        return found | {"engine_layers": artifact.engine.get("layers", {}), "not_looked_into": why}
