"""The parts of a recipe: the student alone, its teacher, the student under it, and what changes of a recipe for each."""

from pathlib import Path
from typing import Any

from edgekd.config import DataRecipe, Recipe, SpeedRecipe, TaskRecipe, TeacherRecipe
from edgekd.distill.registry import transfer_class
from edgekd.models.sources import folder_source, source_of
from edgekd.runs import Run, open_run
from edgekd_runtime.errors import UsageError

_OF_TEACHER = ("model", "run", "source", "classes", "scale", "steps", "window", "confidence", "cache")
_OF_FRAMES = ("unlabelled", "unlabelled_share", "frame_step", "frame_rate", "held_out")
MADE: dict[str, Any] = {key: TeacherRecipe.model_fields[key].default for key in _OF_TEACHER}
"""What a recipe says of a trained teacher is nothing while that teacher is trained."""
LABELLED: dict[str, Any] = {key: DataRecipe.model_fields[key].get_default(call_default_factory=True) for key in _OF_FRAMES}
"""What a recipe says of unlabelled images is nothing for a model that is trained on labels alone."""


def student_part(recipe: Recipe) -> Recipe:
    """The baseline: the student alone on the labels."""
    own = {"auxiliary", "class_weights", "dice", "boundary", "detail"}
    if recipe.task.weighting == "ohem":
        own |= {"weighting", "threshold", "min_kept", "group"}
    task = TaskRecipe(**recipe.task.model_dump(include=own))
    data = recipe.data.model_copy(update=LABELLED)
    return recipe.model_copy(update={"objective": "supervised", "method": "baseline", "transfer": [], "task": task, "data": data})


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
        "teacher": teacher.model_copy(update=MADE),
        "transfer": [],
        "train": recipe.train.model_copy(update={"steps": teacher.steps or recipe.train.steps, "start": None, "fake_quant": None}),
    }
    return student_part(recipe).model_copy(update=update)


def distillation_part(recipe: Recipe) -> Recipe:
    """The student under its teacher.

    Raises:
        UsageError: If a transfer or one of its options is unknown, or the task chooses every pixel.
    """
    for transfer in recipe.transfer:
        transfer_class(transfer)
    check_task(recipe)
    return recipe.model_copy(update={"objective": "distillation"})


def reads_teacher(recipe: Recipe) -> bool:
    """Whether anything of a distillation looks at a teacher."""
    return bool(recipe.transfer) or recipe.task.weighting == "difficulty" or recipe.task.pseudo > 0


def check_task(recipe: Recipe) -> None:
    """Refuse a choice of hard pixels that would choose all of them.

    Raises:
        UsageError: With what to set.
    """
    height, width = recipe.data.crop or recipe.data.size
    if recipe.task.weighting != "plain" and recipe.task.min_kept >= height * width:
        raise UsageError(
            f"task.min_kept {recipe.task.min_kept} keeps every pixel of a {height}x{width} crop, so its choice of hard ones means nothing; "
            f"set task.min_kept={height * width // 20}, a twentieth of them, as the paper's 25000 are of 512x1024."
        )


NEEDS_LABELS = "A label-assisted teacher ({}) is shown the label, which unlabelled images lack; leave --unlabelled out, or use another."


def check_unlabelled(recipe: Recipe) -> None:
    """Refuse what unlabelled images can't do.

    Raises:
        UsageError: With what to change.
    """
    if not recipe.data.unlabelled:
        if recipe.task.pseudo:
            raise UsageError("task.pseudo needs unlabelled images, and there are none; name some with --unlabelled, or set it to 0.")
        return
    if recipe.teacher.label_assisted:
        raise UsageError(NEEDS_LABELS.format(f"method {recipe.method}"))
    if recipe.data.unlabelled_share == 1 and not (recipe.transfer or recipe.task.pseudo):
        raise UsageError("Without labels only what is transferred is learnt, and this recipe transfers nothing; choose a --method.")


def check_cache(recipe: Recipe) -> None:
    """Refuse to keep the teacher's outputs where it is never shown the same image again.

    Raises:
        UsageError: With what to change.
    """
    if recipe.teacher.cache is None:
        return
    data = recipe.data
    random = {
        "data.scale=[1,1]": data.scale != (1.0, 1.0),
        f"data.crop={list(data.size)}": data.crop not in (None, data.size),
        "data.color=0": data.color > 0,
        "data.blur=0": data.blur > 0,
        "data.rare=0": data.rare > 0,
        "teacher.label_assisted=false": recipe.teacher.label_assisted,
    }
    if mend := [key for key, wrong in random.items() if wrong]:
        raise UsageError(
            f"teacher.cache keeps what the teacher says of an image, and this recipe shows it another each time; set {', '.join(mend)}, "
            "or leave teacher.cache out."
        )


def check_shares(recipe: Recipe, world: int) -> None:
    """Refuse a share of unlabelled images that leaves a process without labels, or that differs between processes.

    Raises:
        UsageError: With what to change.
    """
    if not recipe.data.unlabelled or recipe.data.unlabelled_share == 1:
        return
    together = recipe.train.batch_size // recipe.train.accumulate // world
    labelled = together * (1 - recipe.data.share)
    if labelled < 1 or (labelled.denominator > 1 and world * recipe.train.accumulate > 1):
        raise UsageError(
            f"data.unlabelled_share of {recipe.data.unlabelled_share:g} leaves {float(labelled):g} labelled images of the {together} that "
            "a process has at a time, and it must be a whole number; change either."
        )


def quantised_fine_tuning(run: Path, method: str | None = None) -> dict[str, Any]:
    """The piece of recipe that fine-tunes a trained student for INT8: its own recipe, a fifth of the steps, a tenth of the rate.

    Raises:
        UsageError: If `run` is no run folder.
    """
    if not Run(run).best.is_file():
        raise UsageError(f"--qat fine-tunes a trained student: give its run folder as --recipe, not {run}.")
    recipe = open_run(run).recipe
    train = {"start": str(run), "fake_quant": 7, "lr": recipe.train.lr / 10, "steps": max(1, recipe.train.steps // 5), "warmup_steps": 0}
    return {"method": f"{method or recipe.method}+qat", "objective": "distillation", "train": train | {"val_every": None}}


def teacher_piece(source: str, trust: bool = False) -> dict[str, Any]:
    """The piece of recipe that names a trained teacher.

    Args:
        source: A run folder, ``.safetensors``, or of one of `edgekd.models.sources.SOURCES`.
        trust: Open a file that holds code.
    """
    name = folder_source(source)
    if source_of(name) is None:
        return {"teacher": {"run": source, "source": None}}
    return {"teacher": {"run": None, "source": {"name": name, "trust": trust}}}


def with_teacher_run(recipe: Recipe, run: Path) -> Recipe:
    """The recipe with a trained teacher."""
    return recipe.model_copy(update={"teacher": recipe.teacher.model_copy(update={"run": str(run)})})


def essence(recipe: Recipe) -> Recipe:
    """The recipe without what does not change its result."""
    data = recipe.data.model_copy(update={"workers": None})
    same = {
        "log_every": 1,
        "log": "tensorboard",
        "save_minutes": 10.0,
        "devices": 1,
        "num_nodes": 1,
        "accelerator": "auto",
        "speed": SpeedRecipe(),
    }
    train = recipe.train.model_copy(update=same)
    return recipe.model_copy(update={"data": data, "train": train})


def moved(recipe: Recipe, root: str | None) -> Recipe:
    """The recipe with its data at another folder; itself where none is given."""
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"root": root})}) if root else recipe
