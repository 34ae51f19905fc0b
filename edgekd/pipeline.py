"""From a recipe to a finished run: which recipe each part has, which objective it stands for, and the teacher that comes first."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from edgekd.config import Recipe, TaskRecipe, load_recipe
from edgekd.console import note, progress
from edgekd.data import Layout, open_layout
from edgekd.distill.lad import DISTILL_SIGMA, LabelNoiser
from edgekd.distill.objective import Distillation, LabelAssisted, Objective, Supervised, needs_auxiliary
from edgekd.distill.registry import transfer_class
from edgekd.distill.teacher import Teacher
from edgekd.models import Network, build_network, load_network
from edgekd.models.backbone import scale_extra_inputs
from edgekd.train.card import write_card
from edgekd.train.difficulty import dump_difficulty
from edgekd.train.evaluate import best_device
from edgekd.train.launch import launch
from edgekd.train.loop import State, Trainer
from edgekd.train.run import RunFolder
from edgekd_runtime.errors import EdgeKDError, UsageError


def open_split(recipe: Recipe, split: str | None = None) -> Layout:
    """A split of the recipe's data; its validation split where none is named."""
    return open_layout(recipe.data.layout, split or recipe.data.val, recipe.data.root, **recipe.data.options)


def student_part(recipe: Recipe) -> Recipe:
    """The baseline: the student alone on the labels."""
    task = TaskRecipe(auxiliary=recipe.task.auxiliary, class_weights=recipe.task.class_weights, detail=recipe.task.detail)
    return recipe.model_copy(update={"objective": "supervised", "method": "baseline", "transfer": [], "task": task})


def teacher_part(recipe: Recipe) -> Recipe:
    """The teacher's own training: its model on the labels, or LAD's: the student's architecture shown the label.

    Raises:
        UsageError: If the recipe says nothing of how the teacher is made.
    """
    teacher = recipe.teacher
    if teacher.model is None and not teacher.label_assisted:
        raise UsageError(f"The recipe {recipe.name} names no teacher: set teacher.model, teacher.run or teacher.label_assisted.")
    update: dict[str, Any] = {
        "objective": "label-assisted" if teacher.label_assisted else "supervised",
        "method": "lad-teacher" if teacher.label_assisted else "teacher",
        "student": recipe.student if teacher.label_assisted else teacher.model,
        "teacher": teacher.model_copy(update={"model": None, "run": None, "steps": None}),
        "transfer": [],
        "train": recipe.train.model_copy(update={"steps": teacher.steps or recipe.train.steps, "start": None, "fake_quant": None}),
    }
    return student_part(recipe).model_copy(update=update)


def distillation_part(recipe: Recipe) -> Recipe:
    """The student under its teacher.

    Raises:
        UsageError: If a transfer or one of its options is unknown.
    """
    for transfer in recipe.transfer:
        transfer_class(transfer)
    height, width = recipe.data.crop or recipe.data.size
    if recipe.task.weighting == "difficulty" and recipe.task.min_kept >= height * width:
        raise UsageError(
            f"task.min_kept {recipe.task.min_kept} keeps every pixel of a {height}x{width} crop, so none would be relatively hard; "
            f"set task.min_kept={height * width // 20}, a twentieth of them, as the paper's 25000 are of 512x1024."
        )
    return recipe.model_copy(update={"objective": "distillation"})


def _supervised(recipe: Recipe, num_classes: int) -> Objective:
    return Supervised(build_network(recipe.student, num_classes), recipe.task)


def _label_assisted(recipe: Recipe, num_classes: int) -> Objective:
    teacher = recipe.teacher
    network = build_network(recipe.student, num_classes, in_channels=4)
    scale_extra_inputs(network, teacher.label_start)
    return LabelAssisted(network, recipe.task, LabelNoiser(num_classes), teacher.consistency, teacher.consistency_from)


def _distillation(recipe: Recipe, num_classes: int) -> Objective:
    teacher = load_teacher(recipe, num_classes)
    return Distillation(build_network(recipe.student, num_classes), teacher, recipe.task, recipe.transfer, recipe.data.layout)


OBJECTIVES: dict[str, Callable[[Recipe, int], Objective]] = {
    "supervised": _supervised,
    "label-assisted": _label_assisted,
    "distillation": _distillation,
}


def load_teacher(recipe: Recipe, num_classes: int) -> Teacher:
    """The recipe's trained teacher, frozen.

    Raises:
        EdgeKDError: If it is missing, damaged or of another class count.
    """
    if recipe.teacher.run is None:
        raise UsageError("A distillation needs a teacher: give --teacher RUN, or set teacher.model or teacher.label_assisted.")
    model, about = load_network(Path(recipe.teacher.run), num_classes)
    if recipe.teacher.label_assisted and about.in_channels == 3:
        raise UsageError(
            f"The method {recipe.method} wants a label-assisted teacher, and {recipe.teacher.run} is none; leave --teacher out."
        )
    noiser = None
    if about.in_channels > 3:
        noiser = LabelNoiser(num_classes, weights=recipe.teacher.label_weights, sigma=DISTILL_SIGMA)
    return Teacher(model, noiser, needs_auxiliary=needs_auxiliary(recipe.task, recipe.transfer))


def train(recipe: Recipe, folder: Path, *, resume: bool = False, overwrite: bool = False) -> State:
    """Train one part to the end, and write its card.

    Args:
        recipe: Of the part: `student_part`, `teacher_part` or `distillation_part`.
        folder: The run folder.
        resume: Go on from its `last.pt`.
        overwrite: Replace a run that is there.

    Raises:
        EdgeKDError: What went wrong, in a sentence.
    """
    layouts = open_split(recipe, recipe.data.train), open_split(recipe)
    run = RunFolder(folder)
    for name, source in (("teacher", recipe.teacher.run), ("start", recipe.train.start)):
        if source is not None and folder.resolve() == _home(Path(source)).resolve():
            raise UsageError(f"{folder} is this run's own {name}, and would be written over; choose another --out.")
    if not resume:
        run.refuse_if_taken(overwrite)
    fabric = launch(recipe.train)
    torch.manual_seed(recipe.train.seed)
    objective = OBJECTIVES[recipe.objective](recipe, len(layouts[0].classes))
    _check_batch(recipe, objective.student, fabric.world_size)
    if recipe.train.start and not resume:
        start_from(objective.student, Path(recipe.train.start))
    with _held(fabric, run):
        if fabric.is_global_zero and not resume:
            run.begin(recipe, overwrite)
        fabric.barrier()
        state = Trainer(fabric, recipe, objective, run, layouts).fit(resume)
        if fabric.is_global_zero:
            write_card(run, recipe, state, layouts[1].classes, str(fabric.device), fabric.world_size)
        fabric.barrier()
    return state


@contextmanager
def _held(fabric: Fabric, run: RunFolder) -> Iterator[None]:
    """`RunFolder.held` by the first process; where it can't be, all of them end together."""
    with ExitStack() as stack:
        failure = None
        if fabric.is_global_zero:
            try:
                stack.enter_context(run.held())
            except EdgeKDError as error:
                failure = str(error)
        if failure := fabric.broadcast(failure):
            raise EdgeKDError(failure)
        yield


def _check_batch(recipe: Recipe, student: Network, world: int) -> None:
    if student.pools_globally and recipe.train.batch_size // recipe.train.accumulate // world < 2:
        raise UsageError(
            f"{student.name} normalises a pooled 1×1 map, so each process needs two images or more at a time: raise train.batch_size."
        )


def start_from(student: Network, run: Path) -> None:
    """Load the weights of a trained run into a model that was just built.

    Raises:
        EdgeKDError: If there are none, or they are of another model.
    """
    trained, about = load_network(run, student.num_classes)
    try:
        student.load_state_dict(trained.state_dict())
    except RuntimeError as error:
        raise EdgeKDError(f"train.start: {run} is {about.model.name}, which does not fit this recipe's {student.name}.") from error


def quantised_fine_tuning(run: Path, method: str | None = None) -> dict[str, Any]:
    """The piece of recipe that fine-tunes a trained student for INT8: its own recipe, a fifth of the steps, a tenth of the rate.

    Raises:
        UsageError: If `run` is no run folder.
    """
    if not (run / "best.safetensors").is_file():
        raise UsageError(f"--qat fine-tunes a trained student: give its run folder as --recipe, not {run}.")
    recipe = run_recipe(run)
    train = {"start": str(run), "fake_quant": 7, "lr": recipe.train.lr / 10, "steps": max(1, recipe.train.steps // 5), "warmup_steps": 0}
    return {"method": f"{method or recipe.method}+qat", "objective": "distillation", "train": train | {"val_every": None}}


def distill(recipe: Recipe, folder: Path, *, resume: bool = False, overwrite: bool = False) -> Recipe:
    """Distil a student; its teacher is trained first where the recipe says how and none is there yet.

    Returns:
        The resolved recipe, with `teacher.run`.
    """
    recipe = distillation_part(recipe)
    if recipe.teacher.run is None:
        if not resume:
            RunFolder(folder).refuse_if_taken(overwrite)
        check_before_teacher(recipe)
        recipe = _with_teacher_run(recipe, ensure_teacher(recipe, folder.parent))
    train(recipe, folder, resume=resume, overwrite=overwrite)
    return recipe


def difficulty_pictures(run: Path, count: int) -> list[Path]:
    """Pictures of a distilled run's difficulty maps on its first validation images, in ``RUN/difficulty``."""
    recipe = run_recipe(run)
    layout = open_split(recipe)
    student, _ = load_network(run, len(layout.classes))
    student = student.to(best_device())
    teacher = load_teacher(recipe, len(layout.classes))
    teacher.to(best_device(), torch.contiguous_format)
    with progress("difficulty maps") as update:
        return dump_difficulty(student, teacher, recipe, layout, count, run, update)


def _with_teacher_run(recipe: Recipe, run: Path) -> Recipe:
    return recipe.model_copy(update={"teacher": recipe.teacher.model_copy(update={"run": str(run)})})


def check_before_teacher(recipe: Recipe) -> None:
    """Build the distillation with an untrained teacher, so that what is wrong with it does not wait until that is trained.

    Raises:
        UsageError: With what to change.
    """
    num_classes = len(open_split(recipe).classes)
    bare: dict[str, Any] = {"weights": None}
    in_channels = 4 if recipe.teacher.label_assisted else 3
    teacher = build_network(teacher_part(recipe).student.model_copy(update=bare), num_classes, in_channels)
    student = build_network(recipe.student.model_copy(update=bare), num_classes)
    Distillation(student, Teacher(teacher), recipe.task, recipe.transfer, recipe.data.layout)


def ensure_teacher(recipe: Recipe, parent: Path) -> Path:
    """The run folder of the recipe's teacher: reused where it is finished, resumed where it was cut off, else trained.

    Raises:
        UsageError: If the folder holds a teacher of another recipe.
    """
    part = teacher_part(recipe)
    folder = parent / f"{recipe.name}-{part.method}-{part.student.name}-seed{part.train.seed}"
    run = RunFolder(folder)
    if not run.last.exists():
        note(f"Training the teacher first, into {folder}")
        train(part, folder, overwrite=True)
        return folder
    if _essence(load_recipe(folder)) != _essence(part):
        raise UsageError(f"{folder} holds a teacher of another recipe; remove it, or name the teacher you want with --teacher.")
    steps = [record["step"] for record in run.history()]
    if run.best.exists() and steps and steps[-1] >= part.train.steps:
        note(f"Reusing the teacher in {folder}")
    else:
        note(f"Resuming the teacher in {folder}")
        train(part, folder, resume=True)
    return folder


def _essence(recipe: Recipe) -> Recipe:
    """The recipe without what does not change its result."""
    data = recipe.data.model_copy(update={"workers": None})
    train = recipe.train.model_copy(update={"log_every": 1, "save_minutes": 10.0, "devices": 1, "num_nodes": 1, "accelerator": "auto"})
    return recipe.model_copy(update={"data": data, "train": train})


def moved(recipe: Recipe, root: str | None) -> Recipe:
    """The recipe with its data at another folder; itself where none is given."""
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"root": root})}) if root else recipe


def _home(run: Path) -> Path:
    """The folder of a run, or of the checkpoint file of one."""
    return run if run.is_dir() else run.parent


def run_recipe(folder: Path) -> Recipe:
    """The resolved recipe of a run folder, or of the run that a checkpoint file lies in.

    Raises:
        EdgeKDError: If there is none.
    """
    home = _home(folder)
    if not (home / "recipe.yaml").is_file():
        raise EdgeKDError(f"{folder} is no run: it has no recipe.yaml; give a folder that `edgekd train` or `edgekd distill` wrote.")
    return load_recipe(home)
