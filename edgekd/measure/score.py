"""One score for everything: a run, a checkpoint file, or an exported model."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.console import Update, progress
from edgekd.data import Layout, open_layout, open_split
from edgekd.measure.pytorch import open_model
from edgekd.models import load_network
from edgekd.parts import moved
from edgekd.runs import Run, open_run
from edgekd.train.evaluate import best_device, evaluate, pairs
from edgekd.train.inference import DEPLOYED, Inference
from edgekd_runtime.accuracy import Accuracy, score
from edgekd_runtime.artifact import Artifact, score_name
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError


@dataclass(frozen=True)
class Scored:
    """An accuracy and what it is of.

    Attributes:
        privileged: The model was shown the label (LAD's teacher).
        name: What its mean IoU is: mIoU of labels, or agreement with the teacher.
    """

    accuracy: Accuracy
    split: str
    images: int
    classes: ClassSet
    privileged: bool
    name: str = "mIoU"


def score_model(
    path: Path,
    *,
    split: str | None,
    root: str | None,
    size: tuple[int, int] | None,
    backend: str | None,
    inference: Inference = DEPLOYED,
) -> Scored:
    """Score on a data split, at label resolution.

    Args:
        path: Run folder, ``.safetensors``, ``model.onnx``, ``model.engine``, or a folder with one exported model.
        split: Data split; the recipe's validation split where None.
        root: Folder of the data, where it has moved.
        size: Network input (H, W) of a run; the recipe's where None.
        backend: Of an exported model; the file's usual one where absent.
        inference: Which views of each image of a run vote.

    Raises:
        EdgeKDError: If model or data can't be read or do not fit.
        UsageError: If an exported model is asked for anything but its own rectangle.
    """
    if path.suffix in (".onnx", ".engine") or (path.is_dir() and not Run(path).recipe_file.exists()):
        if inference != DEPLOYED or size is not None:
            raise UsageError(
                f"{path} is an exported model, which takes its own rectangle only; leave --imgsz, --native, --window, --scales and "
                "--flip out, or give the run that it was exported from."
            )
        return _score_exported(path, split, root, backend)
    if backend is not None:
        raise UsageError(f"{path} is a run, which PyTorch scores; --backend is for an exported model.")
    recipe = moved(open_run(path).recipe, root)
    layout = open_split(recipe, split)
    model, about = load_network(path, len(layout.classes))
    with progress("eval") as update:
        accuracy = evaluate(model.to(best_device()), layout, size or recipe.data.size, inference=inference, update=update)
    return Scored(
        accuracy,
        split or recipe.data.val,
        len(layout),
        about.classes,
        privileged=about.in_channels > 3,
        name=score_name({"labels": recipe.data.labels}),
    )


def _score_exported(path: Path, split: str | None, root: str | None, backend: str | None) -> Scored:
    with open_model(path, backend) as session, progress("eval") as update:
        artifact = session.artifact
        layout = artifact_layout(artifact, split, root)
        accuracy = score(session.predict, counted(layout, update), len(artifact.classes))
    return Scored(accuracy, split or str(artifact.data["split"]), len(layout), artifact.classes, privileged=False, name=artifact.score_name)


def artifact_layout(artifact: Artifact, split: str | None = None, root: str | None = None) -> Layout:
    """The data that an exported model's sidecar names.

    Raises:
        EdgeKDError: If it names none, or the class counts differ.
    """
    data: dict[str, Any] = artifact.data
    if not data:
        raise EdgeKDError(f"The sidecar of {artifact.name} names no data; export it again, or measure latency only (--no-accuracy).")
    layout = open_layout(data["layout"], split or data["split"], root or data["root"], **data["options"])
    if len(layout.classes) != len(artifact.classes):
        raise EdgeKDError(f"{artifact.name} predicts {len(artifact.classes)} classes but the data has {len(layout.classes)}.")
    return layout


def require_same_classes(artifacts: Iterable[Artifact]) -> None:
    """That models can be scored on the same labels.

    Raises:
        UsageError: If one predicts other classes than the first.
    """
    first, *others = artifacts
    for other in others:
        if other.classes.names != first.classes.names:
            raise UsageError(f"{other.name} has other classes than {first.name}; bench them apart.")
        if other.score_name != first.score_name:
            raise UsageError(f"{other.name} is scored by {other.score_name}, and {first.name} by {first.score_name}; bench them apart.")


def counted(layout: Layout, update: Update, limit: int | None = None) -> Any:
    """(image, label) pairs that report progress as they are taken."""
    total = min(len(layout), limit or len(layout))
    for done, pair in enumerate(pairs(layout, limit), 1):
        yield pair
        update(done, total)
