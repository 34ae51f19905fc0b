"""The sidecar of what is made from a run."""

from pathlib import Path
from typing import Any

import torch

from edgekd.config import Recipe
from edgekd.export.deployed import Output
from edgekd.models import Network
from edgekd.models.checkpoint import NetworkFile
from edgekd.runs import Run
from edgekd_runtime import __version__
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.files import sha256


def describe_run(
    run: Path,
    recipe: Recipe,
    model: Network,
    about: NetworkFile,
    file: Path,
    *,
    size: tuple[int, int],
    output: Output = "classes",
    opset: int = 0,
    versions: dict[str, str] | None = None,
    **more: Any,
) -> Artifact:
    """What the FP32 deployed form of a run's model is.

    Args:
        run: Run folder.
        recipe: Its recipe.
        model: Its loaded model.
        about: What its checkpoint says.
        file: The file that runs: an exported model, or the checkpoint itself.
        size: Network input (H, W).
        output: ``classes`` or ``logits``.
        opset: Of an ONNX file.
        versions: Of the tools that made the file, beside our own and PyTorch's.
        more: Other fields of the `Artifact`.
    """
    root = str(Path(recipe.data.root).resolve()) if recipe.data.root else None
    return Artifact(
        name=f"{run.name} fp32",
        model=about.model.name,
        method=recipe.method,
        size=size,
        output=output,
        precision="fp32",
        classes=about.classes,
        mean=tuple(model.mean.flatten().tolist()),
        std=tuple(model.std.flatten().tolist()),
        opset=opset,
        sha256=sha256(file),
        source_sha256=sha256(Run(run).best),
        data={
            "layout": recipe.data.layout,
            "root": root,
            "split": recipe.data.val,
            "options": recipe.data.options,
            "labels": recipe.data.labels,
        },
        versions={"edgekd": __version__, "torch": torch.__version__, **(versions or {})},
        **more,
    )
