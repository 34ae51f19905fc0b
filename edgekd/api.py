"""The Python face: what a notebook or a loop of one's own calls. Paths may be strings; errors are `edgekd_runtime.errors.EdgeKDError`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from edgekd.config import Recipe
from edgekd.data import open_split, open_training
from edgekd.distill.methods import method_recipe
from edgekd.distill.objective import Distillation, needs_auxiliary
from edgekd.distill.teacher import Teacher
from edgekd.export.plan import Exported, ExportPlan, export_all
from edgekd.label_free import label_free as without_labels
from edgekd.loading import load_recipe, merge, validate
from edgekd.measure.benchmark import bench_models
from edgekd.measure.pytorch import model_files, open_model, register_torch
from edgekd.measure.score import Scored, score_model
from edgekd.models.open import open_network
from edgekd.parts import moved, student_part, teacher_part, teacher_piece
from edgekd.pipeline import distill as distill_recipe
from edgekd.pipeline import train as train_recipe
from edgekd.runs import Run, open_run
from edgekd_runtime.errors import UsageError
from edgekd_runtime.latency import Timing
from edgekd_runtime.measurement import Measurement
from edgekd_runtime.predict import Predicted, image_files
from edgekd_runtime.predict import predict as predict_files
from edgekd_runtime.trust import name_by_user

PathLike = str | Path


def distiller(
    student: str | nn.Module,
    teacher: PathLike | nn.Module,
    method: str = "cwd",
    *,
    num_classes: int,
    transfer: Sequence[dict[str, Any]] | None = None,
    student_options: dict[str, Any] | None = None,
    teacher_options: dict[str, Any] | None = None,
) -> Distillation:
    """A student under a teacher for one's own training loop.

    The result is a module: ``parts = kd(images, labels, progress)`` with images RGB 0–255 B×3×H×W (uint8 or float), labels B×H×W
    (255 = ignore) and the share of the run that is done (0–1) gives weighted loss parts to sum; its parameters are the student's
    and those of the losses. The teacher is frozen, seen by no optimiser, and goes along to another device with ``kd.to(device)``.

    Args:
        student: What is trained: a module or a source, as `open_network` takes it.
        teacher: Where knowledge comes from, likewise.
        method: A name of `edgekd methods`.
        num_classes: C.
        transfer: A list of transfers instead of the method's, e.g. ``[{"method": "cwd", "weight": 5.0}]``.
        student_options: Fields of `ModelRecipe` for the student.
        teacher_options: Fields of `ModelRecipe` for the teacher.

    Raises:
        UsageError: If the method is unknown, or one of the two lacks what it reads.
    """
    piece = method_recipe(method)
    if piece.get("teacher", {}).get("label_assisted"):
        raise UsageError(f"{method} trains a teacher of its own first; use edgekd.distill.")
    parts = {"transfer": piece.get("transfer", []) if transfer is None else list(transfer), "task": piece.get("task", {})}
    recipe = validate(Recipe, {"name": "own", "data": _NO_DATA, "student": {"name": "own"}, **parts}, "distiller")
    learner = open_network(student, num_classes, **(student_options or {}))
    frozen = open_network(teacher, num_classes, **(teacher_options or {}))
    if frozen.in_channels > 3:
        raise UsageError(f"{frozen.name} is label-assisted; use edgekd.distill with method 'lad', which gives it the noised label.")
    taught = Teacher(frozen, needs_auxiliary=needs_auxiliary(recipe.task, recipe.transfer))
    return Distillation(learner, taught, recipe.task, recipe.transfer)


_NO_DATA = {"layout": "streetscape", "size": [64, 64]}


def train(
    recipe: PathLike | Recipe,
    out: PathLike,
    *overrides: dict[str, Any],
    part: str = "student",
    resume: bool = False,
    overwrite: bool = False,
) -> Run:
    """Train the student alone or the teacher of a recipe.

    Args:
        recipe: A shipped name, a YAML file, a run folder, or a recipe.
        out: Run folder.
        overrides: Pieces of recipe, e.g. ``{"train": {"steps": 100}}``.
        part: ``student`` or ``teacher``.
        resume: Go on from the run's last state.
        overwrite: Replace a run that is there.

    Raises:
        EdgeKDError: What went wrong, in a sentence.
    """
    parts = {"student": student_part, "teacher": teacher_part}
    if part not in parts:
        raise UsageError(f"part is student or teacher, not {part!r}.")
    train_recipe(parts[part](_recipe(recipe, overrides)), Path(out), resume=resume, overwrite=overwrite)
    return Run(out)


def distill(
    recipe: PathLike | Recipe,
    out: PathLike,
    *overrides: dict[str, Any],
    method: str | None = None,
    teacher: PathLike | None = None,
    unlabelled: PathLike | Sequence[PathLike] = (),
    label_free: bool = False,
    resume: bool = False,
    overwrite: bool = False,
) -> Run:
    """Train a student under a teacher, which is trained first if the recipe says how and none is given.

    ``edgekd.distill("camvid", "runs/student", teacher="runs/teacher", unlabelled="drive.mp4")`` learns from labelled images and a video;
    ``edgekd.distill("camvid", "runs/student", teacher="hf:OWNER/NAME", unlabelled="drive.mp4", label_free=True)`` from the video alone.

    Args:
        recipe: As for `train`.
        out: Run folder.
        overrides: Pieces of recipe.
        method: A name of `edgekd methods`.
        teacher: Source of a trained teacher.
        unlabelled: Folders of images, patterns such as ``frames/*.png``, and video files, distilled without labels beside the labelled
            images.
        label_free: Learn from `teacher` on `unlabelled` alone, with its classes; every score is agreement with the teacher.
        resume: Go on from the run's last state.
        overwrite: Replace a run that is there.

    Raises:
        EdgeKDError: What went wrong, in a sentence.
    """
    pieces = [{**method_recipe(method), "method": method}] if method else []
    pieces += [teacher_piece(str(teacher))] if teacher is not None else []
    if paths := [unlabelled] if isinstance(unlabelled, (str, Path)) else list(unlabelled):
        pieces.append({"data": {"unlabelled": [str(path) for path in paths]}})
    asked = _recipe(recipe, [*pieces, *overrides])
    if label_free:
        if resume:
            raise UsageError(f"A label-free run continues with its own recipe: give {out} as the recipe too, and leave label_free out.")
        asked = without_labels(asked, Path(out), overwrite)
    distill_recipe(asked, Path(out), resume=resume, overwrite=overwrite)
    return Run(out)


def evaluate(model: PathLike, *, split: str | None = None, data_root: PathLike | None = None, backend: str | None = None) -> Scored:
    """Score a run or an exported model on its data.

    Args:
        model: Run folder, checkpoint, ``model.onnx``, ``model.engine``, or the folder of one.
        split: The validation split by default.
        data_root: Folder of the data, if it has moved.
        backend: Of an exported model.

    Raises:
        EdgeKDError: If model or data can't be read, or do not fit.
    """
    return score_model(Path(model), split=split, root=str(data_root) if data_root else None, size=None, backend=backend)


def export(
    run: PathLike,
    out: PathLike | None = None,
    *,
    precisions: Sequence[str] = ("fp32",),
    data_root: PathLike | None = None,
    plan: ExportPlan | None = None,
) -> list[Exported]:
    """Write a run's best weights as ``model.onnx`` in each precision, proved on real images.

    Args:
        run: Run folder.
        out: Folder of the folders; ``RUN/export`` by default.
        precisions: Of `edgekd.export.precision.PRECISIONS`.
        data_root: Folder of the data, if it has moved.
        plan: Everything else that can be asked for.

    Raises:
        GateError: If parity or a budget is missed.
        EdgeKDError: What went wrong, in a sentence.
    """
    opened = open_run(run)
    recipe = moved(opened.recipe, str(data_root) if data_root else None)
    wanted = replace(plan or ExportPlan(), precisions=tuple(precisions))
    layouts = open_training(recipe), open_split(recipe)
    return export_all(opened.path, recipe, layouts, Path(out) if out else opened.export, wanted)


def predict(
    images: PathLike | Sequence[PathLike],
    model: PathLike,
    out: PathLike,
    *,
    backend: str | None = None,
    overlays: bool = False,
    form: str = "index",
) -> list[Predicted]:
    """Write class maps of images as PNG files.

    Args:
        images: Files, folders or patterns.
        model: Exported model.
        out: Folder of the masks.
        backend: What runs the model; the file's usual one by default.
        overlays: Write painted images too.
        form: ``index`` or ``palette``.

    Raises:
        EdgeKDError: If a file can't be read or written.
    """
    given = [images] if isinstance(images, (str, Path)) else images
    files = image_files([str(image) for image in given])
    with open_model(Path(model), backend) as session:
        return predict_files(session, files, Path(out), form=form, overlays=overlays)


def bench(
    models: PathLike | Sequence[PathLike],
    *,
    backends: Sequence[str] = (),
    threads: Sequence[int] = (0,),
    seconds: float = 3.0,
    accuracy: bool = True,
    images: int | None = None,
    data_root: PathLike | None = None,
) -> list[Measurement]:
    """Latency, memory and mIoU of the same files, side by side.

    Args:
        models: Exported models, folders that hold some, or runs.
        backends: What runs them; ``torch`` runs a run's own weights.
        threads: Numbers of CPU threads, each measured; 0 = the backend's default.
        seconds: At least this long a model and stage.
        accuracy: Score them too.
        images: Score so many images only, spread over the split.
        data_root: Folder of the data, if it has moved.

    Raises:
        EdgeKDError: If a model can't be measured.
    """
    register_torch()
    given = [models] if isinstance(models, (str, Path)) else models
    return bench_models(
        model_files([Path(model) for model in given], backends),
        Timing(seconds=seconds),
        backends=backends,
        threads=threads,
        accuracy=accuracy,
        limit=images,
        root=str(data_root) if data_root else None,
    )


def _recipe(recipe: PathLike | Recipe, overrides: Sequence[dict[str, Any]]) -> Recipe:
    if isinstance(recipe, Recipe):
        document = recipe.model_dump(mode="json")
        name_by_user([document, list(overrides)])  # what Python passes is the user's word
        for override in overrides:
            document = merge(document, override)
        return validate(Recipe, document, recipe.name)
    return load_recipe(recipe, overrides)
