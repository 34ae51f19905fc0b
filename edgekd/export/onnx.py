"""A run to `model.onnx` + `model.json`, checked against PyTorch on real images before it appears."""

import contextlib
import io
import logging
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import onnxslim
import torch

from edgekd.config import Recipe
from edgekd.console import note, progress
from edgekd.data import Layout
from edgekd.export.deployed import Deployed, Output
from edgekd.export.description import describe_run
from edgekd.export.folder import whole_folder
from edgekd.export.parity import ParityLimits, check_parity
from edgekd.models import Network, load_network
from edgekd_runtime import __version__
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.errors import EdgeKDError, UsageError

OPSET = 18
"""What `torch.onnx` writes natively; TensorRT 10.3's parser reads up to 20."""


def export_run(
    run: Path,
    recipe: Recipe,
    layout: Layout,
    out: Path,
    *,
    size: tuple[int, int] | None = None,
    output: Output = "classes",
    images: int = 32,
    limits: ParityLimits | None = None,
    max_batch: int = 1,
) -> Artifact:
    """Export a run's best weights; the folder appears only when parity holds.

    Args:
        run: Run folder.
        recipe: Its recipe.
        layout: Validation split, for parity.
        out: Folder for ``model.onnx`` and ``model.json``.
        size: Network input (H, W); the recipe's where absent.
        output: ``classes`` or ``logits``.
        images: How many validation images parity is checked on.
        limits: When parity counts as missed.
        max_batch: Above 1 the batch is dynamic, up to this.

    Raises:
        UsageError: If the model needs the label as input.
        GateError: If the exported file does not agree with PyTorch.
    """
    model, about = load_network(run)
    if about.in_channels != 3:
        raise UsageError(f"{run} is a label-assisted teacher: it needs the label as input, so it can't be deployed; export its student.")
    size = size or recipe.data.size
    with whole_folder(out) as folder:
        file = folder / "model.onnx"
        note(f"Exporting {about.model.name} at {size[0]}x{size[1]}")
        write_onnx(model, size, output, file, max_batch=max_batch, metadata={"edgekd": __version__, "model": about.model.name})
        with progress("parity") as update:
            parity = check_parity(model, file, size, layout, images, update, max_batch)
        made_by = {"onnx": onnx.__version__, "onnxslim": onnxslim.__version__}
        artifact = describe_run(
            run, recipe, model, about, file, size=size, output=output, opset=OPSET, versions=made_by, parity=asdict(parity)
        )
        artifact.save(folder)
        parity.require(limits or ParityLimits(), file=out / "model.onnx")
    return artifact


def write_onnx(model: Network, size: tuple[int, int], output: Output, file: Path, metadata: dict[str, str], max_batch: int = 1) -> None:
    """Write the deployed form of a segmenter as a slimmed, checked ONNX file.

    Raises:
        EdgeKDError: If the exporter or the checker refuses it.
    """
    deployed = Deployed(model, size, output).eval()
    example = torch.zeros(max_batch, *size, 3, dtype=torch.uint8)
    batch = {"image": {0: torch.export.Dim("batch", min=1, max=max_batch)}} if max_batch > 1 else None
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                deployed,
                (example,),
                dynamo=True,
                dynamic_shapes=batch,
                opset_version=OPSET,
                input_names=["image"],
                output_names=[output],
                optimize=True,
                verbose=False,
            )
            graph = onnxslim.slim(program.model_proto)
        for key, value in metadata.items():
            graph.metadata_props.add(key=key, value=value)
        onnx.checker.check_model(graph, full_check=True)
    except Exception as error:
        raise EdgeKDError(f"{model.name} can't be exported to ONNX: {str(error).strip().splitlines()[0]}") from error
    onnx.save(graph, file)


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporters' own chatter says nothing that a user could act on."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
