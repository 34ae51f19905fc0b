"""Small exported models, made without PyTorch and onnx: the files in `data`, each with a sidecar."""

import shutil
from pathlib import Path

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.files import sha256

DATA = Path(__file__).parent / "data"
SIZE = (40, 56)


def write_model(folder: Path, batch: str = "one", name: str = "tiny fp32") -> Path:
    """One convolution into 5 classes with its sidecar, for ``one`` image a call or for ``any`` number."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(DATA / f"{batch}.onnx", folder / "model.onnx")
    classes, digest = ClassSet(tuple("abcde"), default_palette(5)), sha256(folder / "model.onnx")
    Artifact(name, "tiny", "none", SIZE, "classes", "fp32", classes, (0.5,) * 3, (0.5,) * 3, 18, digest, "source").save(folder)
    return folder / "model.onnx"
