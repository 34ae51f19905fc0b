"""The run's card: `README.md` in the run folder, so that a stranger knows what lies there."""

import platform
from datetime import datetime, timezone
from typing import Any

import timm
import torch

from edgekd.config import Recipe
from edgekd.console import duration
from edgekd.runs import Run
from edgekd.train.loop import State
from edgekd_runtime import __version__
from edgekd_runtime.artifact import score_key, score_name
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import write_text
from edgekd_runtime.measurement import describe_device

PRIVILEGED = "**Privileged score**: this teacher is shown the (noised) label, also here. No model without the label can have it."


def _accelerator(device: str) -> str:
    return torch.cuda.get_device_name() if device.startswith("cuda") else device


def teacher_name(recipe: Recipe) -> str:
    """Where a distilled run's teacher came from."""
    return recipe.teacher.source.name if recipe.teacher.source is not None else str(recipe.teacher.run)


def _score(val: dict[str, Any]) -> float | None:
    """The mean IoU of a validation record; that of a label-free run was once called as all others are."""
    return val.get(score_key(score_name(val)), val.get("miou"))


def write_card(run: Run, recipe: Recipe, state: State, classes: ClassSet, device: str, processes: int) -> None:
    """Write the card from the best validation in `metrics.jsonl`.

    Raises:
        EdgeKDError: If a file that the training wrote has gone meanwhile.
    """
    validations = [record for record in run.history() if "val" in record]
    if not validations or not run.best.is_file():
        gone = run.best if validations else run.metrics
        raise EdgeKDError(f"{gone} of this finished run is gone; restore it, or train again with --overwrite.")
    named = score_name(validations[-1]["val"])
    best = max(validations, key=lambda record: _score(record["val"]) or -1.0)
    scores = best["val"]
    rows = "\n".join(
        f"| {name} | {'–' if iou is None else f'{100 * iou:.2f}'} |" for name, iou in zip(classes.names, scores["iou"], strict=True)
    )
    teacher = f", teacher `{teacher_name(recipe)}`" if recipe.objective == "distillation" else ""
    if recipe.data.labels == "teacher":
        note = (
            "No label: classes, validation and every score here are the teacher's. It says how close the student is to it, not how right."
        )
    else:
        note = PRIVILEGED if recipe.objective == "label-assisted" else ""
    machine = describe_device()
    text = f"""# {recipe.student.name} · {recipe.method}

{note}
val {named} **{100 * (_score(scores) or 0):.2f}** at step {best["step"]} of {recipe.train.steps}, \
pixel accuracy {100 * (scores["pixel_accuracy"] or 0):.2f}, \
mAcc {100 * (scores["mean_accuracy"] or 0):.2f}

| class | IoU |
|---|---:|
{rows}

- Data: {recipe.data.layout}, split `{recipe.data.val}`, network input {recipe.data.size[0]}x{recipe.data.size[1]}, scored at label size
- Objective: {recipe.objective}{teacher}; recipe in `recipe.yaml`
- Trained {duration(state.seconds)} on {machine["name"]} ({machine["cores"]} cores), {processes} process(es) on {_accelerator(device)}, \
waiting for data {100 * state.data_seconds / max(state.seconds, 1e-9):.1f} % of it; seed {recipe.train.seed}
- edgekd {__version__}, PyTorch {torch.__version__}, timm {timm.__version__}, Python {platform.python_version()}; \
{datetime.now(timezone.utc).isoformat(timespec="minutes")}

Weights: `best.safetensors`. Next: `edgekd export {run.path}`
"""
    write_text(run.card, text)
