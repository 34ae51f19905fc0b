"""From a recipe to a finished run: the objective that it stands for, and the teacher that comes first."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from lightning_fabric import Fabric

from edgekd.config import Recipe
from edgekd.console import note, progress
from edgekd.data import open_split, open_training
from edgekd.data.balance import with_class_weights
from edgekd.data.frames import open_frames
from edgekd.distill.cache import OutputCache
from edgekd.distill.class_map import class_map
from edgekd.distill.lad import DISTILL_SIGMA, LabelNoiser, label_gain
from edgekd.distill.objective import Distillation, LabelAssisted, Objective, Supervised, needs_auxiliary
from edgekd.distill.registry import transfer_reads
from edgekd.distill.teacher import Teacher
from edgekd.models import Network, build_network, load_network
from edgekd.models.backbone import scale_extra_inputs
from edgekd.parts import (
    NEEDS_LABELS,
    check_cache,
    check_shares,
    check_task,
    check_unlabelled,
    distillation_part,
    essence,
    reads_teacher,
    student_part,
    teacher_part,
    with_teacher_run,
)
from edgekd.runs import Run, home_of, open_run
from edgekd.train.card import write_card
from edgekd.train.difficulty import dump_difficulty
from edgekd.train.evaluate import best_device
from edgekd.train.launch import launch
from edgekd.train.loop import State, Trainer
from edgekd.train.tracker import check_tracker
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError


def _student(recipe: Recipe, classes: ClassSet, resume: bool, in_channels: int = 3) -> Network:
    """What a part trains; a resumed run has its own weights, so that those it began with may be gone.

    Raises:
        UsageError: If it can't be trained.
    """
    network = build_network(recipe.student, len(classes), in_channels, pretrained=not resume)
    if not network.trainable:
        raise UsageError(f"{network.name} is a compiled file, which can teach but not be trained; name the network as --student.")
    return network


def _supervised(recipe: Recipe, classes: ClassSet, resume: bool) -> Objective:
    return Supervised(_student(recipe, classes, resume), recipe.task)


def _label_assisted(recipe: Recipe, classes: ClassSet, resume: bool) -> Objective:
    teacher = recipe.teacher
    network = _student(recipe, classes, resume, in_channels=4)
    scale_extra_inputs(network, teacher.label_start)
    noiser = LabelNoiser(len(classes), gain=label_gain(network.std))
    return LabelAssisted(network, recipe.task, noiser, teacher.consistency, teacher.consistency_from)


def _distillation(recipe: Recipe, classes: ClassSet, resume: bool) -> Objective:
    teacher, student = load_teacher(recipe, classes), _student(recipe, classes, resume)
    return Distillation(student, teacher, recipe.task, recipe.transfer, recipe.data.layout, recipe.teacher.confidence)


OBJECTIVES: dict[str, Callable[[Recipe, ClassSet, bool], Objective]] = {
    "supervised": _supervised,
    "label-assisted": _label_assisted,
    "distillation": _distillation,
}
"""What a recipe's `objective` builds, from the recipe, the classes, and whether a run goes on."""


def load_teacher(recipe: Recipe, classes: ClassSet) -> Teacher:
    """The recipe's trained teacher, frozen.

    Args:
        recipe: Its `teacher` says which.
        classes: Of the data.

    Raises:
        UsageError: If there is none, or it does not go with the student's classes.
        EdgeKDError: If it is missing or damaged.
    """
    teacher = recipe.teacher
    wanted = len(classes) if teacher.classes is None else None
    if teacher.source is not None:
        model = build_network(teacher.source, wanted)
    elif teacher.run is not None:
        model = load_network(Path(teacher.run), wanted)[0]
    else:
        raise UsageError("A distillation needs a teacher: give --teacher SOURCE, or set teacher.model or teacher.label_assisted.")
    _check_compiled(recipe, model)
    if teacher.label_assisted and model.in_channels == 3:
        named = teacher.run or model.name
        raise UsageError(f"The method {recipe.method} wants a label-assisted teacher, and {named} is none; leave --teacher out.")
    noiser = None
    if model.in_channels > 3:
        if recipe.data.unlabelled:
            raise UsageError(NEEDS_LABELS.format(teacher.run))
        noiser = LabelNoiser(len(classes), weights=teacher.label_weights, gain=label_gain(model.std), sigma=DISTILL_SIGMA)
    mapped = None
    if teacher.classes is not None:
        mapped = class_map(teacher.classes, classes.names, model.class_names, model.num_classes)
    reads_auxiliary = needs_auxiliary(recipe.task, recipe.transfer)
    return Teacher(model, noiser, needs_auxiliary=reads_auxiliary, classes=mapped, scale=teacher.scale, window=teacher.window)


def _check_compiled(recipe: Recipe, teacher: Network) -> None:
    """Refuse of a teacher that is a compiled file what needs its weights, or another size."""
    speed = recipe.train.speed
    if not teacher.trainable and (speed.fold_teacher or speed.bf16_teacher):
        raise UsageError(f"{teacher.name} is a compiled file, whose weights stay as they are; leave train.speed's *_teacher out.")
    if teacher.one_size is not None and recipe.teacher.window is not None:
        height, width = teacher.one_size
        raise UsageError(f"{teacher.name} takes images of {height}x{width} only, to which crops are resized; leave teacher.window out.")


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
    check_task(recipe)
    check_tracker(recipe.train.log)
    check_unlabelled(recipe)
    check_cache(recipe)
    layouts, frames = (open_training(recipe), open_split(recipe)), open_frames(recipe.data)
    run = Run(folder)
    for name, source in (("teacher", recipe.teacher.run), ("start", recipe.train.start)):
        if source is not None and folder.resolve() == home_of(Path(source)).resolve():
            raise UsageError(f"{folder} is this run's own {name}, and would be written over; choose another --out.")
    if not resume:
        run.refuse_if_taken(overwrite)
    recipe = with_class_weights(recipe)
    fabric = launch(recipe.train)
    torch.manual_seed(recipe.train.seed)
    objective = OBJECTIVES[recipe.objective](recipe, layouts[0].classes, resume)
    _check_batch(recipe, objective.student, fabric.world_size)
    check_shares(recipe, fabric.world_size)
    check_frozen(recipe)
    cache = with_cache(objective, recipe, len(layouts[0]) + len(frames or ()))
    if recipe.train.start and not resume:
        start_from(objective.student, Path(recipe.train.start))
    with _held(fabric, run):
        if fabric.is_global_zero and not resume:
            run.begin(recipe, overwrite)
        fabric.barrier()
        state = Trainer(fabric, recipe, objective, run, layouts, frames).fit(resume)
        if fabric.is_global_zero:
            write_card(run, recipe, state, layouts[1].classes, str(fabric.device), fabric.world_size)
            if cache is not None:
                note(cache.summary)
        fabric.barrier()
    return state


def with_cache(objective: Objective, recipe: Recipe, images: int) -> OutputCache | None:
    """Let the teacher of a distillation keep its outputs, if the recipe says so.

    Args:
        objective: Of the recipe.
        recipe: Its `teacher.cache` says how much is kept.
        images: Labelled and unlabelled.
    """
    if recipe.teacher.cache is None or not isinstance(objective, Distillation):
        return None
    views = images * (2 if 0 < recipe.data.flip < 1 else 1)
    features = any("features" in transfer_reads(transfer) for transfer in recipe.transfer)
    objective.teacher.cache = OutputCache(views, recipe.teacher.cache * 1e9, features)
    return objective.teacher.cache


@contextmanager
def _held(fabric: Fabric, run: Run) -> Iterator[None]:
    """`Run.held` by the first process; where it can't be, all of them end together."""
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


def check_frozen(recipe: Recipe) -> None:
    """Refuse to freeze a body that has not learnt anything.

    Raises:
        UsageError: With what to change.
    """
    if recipe.student.body == "train":
        return
    if recipe.objective == "label-assisted":
        raise UsageError("LAD's teacher learns a fourth input channel in its body; set student.body=train.")
    if recipe.student.weights is None and recipe.train.start is None:
        raise UsageError(f"The frozen body of {recipe.student.name} has no weights: set weights (timm, or a file) or train.start.")


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


def distill(recipe: Recipe, folder: Path, *, resume: bool = False, overwrite: bool = False) -> Recipe:
    """Distil a student; its teacher is trained first where the recipe says how and none is there yet.

    A recipe of which nothing reads a teacher trains the student alone.

    Returns:
        The resolved recipe, with `teacher.run`.
    """
    recipe = with_class_weights(distillation_part(recipe))
    if recipe.teacher.run is None and recipe.teacher.source is None and not reads_teacher(recipe):
        note("Nothing is transferred, so the student is trained alone, without a teacher.")
        recipe = student_part(recipe)
    elif recipe.teacher.run is None and recipe.teacher.source is None:
        if not resume:
            Run(folder).refuse_if_taken(overwrite)
        check_before_teacher(recipe)
        recipe = with_teacher_run(recipe, ensure_teacher(recipe, folder.parent))
    train(recipe, folder, resume=resume, overwrite=overwrite)
    return recipe


def difficulty_pictures(run: Path, count: int) -> list[Path]:
    """Pictures of a distilled run's difficulty maps on its first validation images, in ``RUN/difficulty``."""
    recipe = open_run(run).recipe
    layout = open_split(recipe)
    student, _ = load_network(run, len(layout.classes))
    student = student.to(best_device())
    teacher = load_teacher(recipe, layout.classes)
    if teacher.classes is not None and not teacher.classes.complete:
        raise UsageError(
            f"{run}: difficulty maps compare every label with the teacher, but teacher.classes gives some classes none of its own."
        )
    teacher.to(best_device(), torch.contiguous_format)
    with progress("difficulty maps") as update:
        return dump_difficulty(student, teacher, recipe, layout, count, run, update)


def check_before_teacher(recipe: Recipe) -> None:
    """Build the distillation with an untrained teacher, so that what is wrong with it does not wait until that is trained.

    Raises:
        UsageError: With what to change.
    """
    for part in (teacher_part(recipe), recipe):
        check_frozen(part)
    check_unlabelled(recipe)
    check_cache(recipe)
    open_frames(recipe.data)
    num_classes = len(open_split(recipe).classes)
    in_channels = 4 if recipe.teacher.label_assisted else 3
    teacher = build_network(teacher_part(recipe).student, num_classes, in_channels, pretrained=False)
    student = build_network(recipe.student, num_classes, pretrained=False)
    Distillation(student, Teacher(teacher), recipe.task, recipe.transfer, recipe.data.layout)


def ensure_teacher(recipe: Recipe, parent: Path) -> Path:
    """The run folder of the recipe's teacher: reused where it is finished, resumed where it was cut off, else trained.

    Raises:
        UsageError: If the folder holds a teacher of another recipe.
    """
    part = teacher_part(recipe)
    named = part.student.name.replace("/", "-").replace(":", "-")  # hf:OWNER/NAME, package.module:function
    folder = parent / f"{recipe.name}-{part.method}-{named}-seed{part.train.seed}"
    run = Run(folder)
    if not run.last.exists():
        both = f"{part.train.steps} steps, then the student, {recipe.train.steps} steps"
        note(f"Training the teacher first: {part.student.name}, {both}; it goes into {folder}")
        train(part, folder, overwrite=True)
        return folder
    if essence(open_run(folder).recipe) != essence(part):
        raise UsageError(f"{folder} holds a teacher of another recipe; remove it, or name the teacher you want with --teacher.")
    steps = [record["step"] for record in run.history()]
    if run.best.exists() and steps and steps[-1] >= part.train.steps:
        note(f"Reusing the teacher in {folder}")
    else:
        note(f"Resuming the teacher in {folder}")
        train(part, folder, resume=True)
    return folder
