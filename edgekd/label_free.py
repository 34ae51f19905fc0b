"""Distillation without any label: the teacher itself labels what is held out, and scores are agreement with it."""

import shutil
from pathlib import Path

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from edgekd.config import Recipe
from edgekd.console import progress
from edgekd.data.frames import Frames, open_frames
from edgekd.distill.resize import upsample
from edgekd.distill.teacher import Teacher
from edgekd.models import build_network, load_network
from edgekd.pipeline import load_teacher
from edgekd.runs import Run
from edgekd.train.evaluate import best_device, to_device
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.errors import UsageError
from edgekd_runtime.files import write_image, write_text
from edgekd_runtime.image import fit, fit_classes

HELD_OUT = 0.1
"""Share at the end of each folder or video that is not trained on, unless the recipe says another."""
LABELLED = {"train": 64, "val": 100}
"""Images that the teacher labels at most, spread evenly: of those trained on for INT8's ranges, of those held out for the scores."""


def label_free(recipe: Recipe, folder: Path, overwrite: bool = False) -> Recipe:
    """The recipe of a distillation from unlabelled images alone, whose validation is agreement with its teacher.

    What the teacher sees in the held-out images is written to ``RUN/teacher-labels`` as a data set of the layout `folder`, so that
    evaluation, export, calibration and benchmarks find labels where they look for them; ``data.labels: teacher`` says whose they are.

    Args:
        recipe: With a trained teacher and `data.unlabelled`; its layout does not count.
        folder: The run folder.
        overwrite: Replace a run that is there.

    Raises:
        UsageError: If there is no teacher or no image, or the folder holds a run.
        EdgeKDError: If one of them can't be read.
    """
    if recipe.teacher.run is None and recipe.teacher.source is None:
        raise UsageError("--label-free needs a trained teacher; give it as --teacher SOURCE.")
    if not recipe.data.unlabelled:
        raise UsageError("--label-free needs unlabelled images; give a folder or a video as --unlabelled PATH.")
    Run(folder).refuse_if_taken(overwrite)
    root = (folder / "teacher-labels").resolve()
    own = {"labels": "teacher", "labelled": None, "held_out": recipe.data.held_out or HELD_OUT, "unlabelled_share": 1.0, "rare": 0.0}
    place = {"layout": "folder", "root": str(root), "options": {}, "train": "train", "val": "val"}
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=own | place)})
    classes = teacher_classes(recipe)
    teacher = load_teacher(recipe, classes)
    teacher.to(best_device(), torch.contiguous_format)
    shutil.rmtree(root, ignore_errors=True)
    for split, held_out in (("train", False), ("val", True)):
        frames = open_frames(recipe.data, held_out)
        if frames is not None:
            _label(frames, teacher, recipe.data.size, root, split)
    document = {"names": list(classes.names), "palette": [list(colour) for colour in classes.palette]}
    write_text(root / "dataset.yaml", yaml.safe_dump(document, allow_unicode=True))
    return recipe


def teacher_classes(recipe: Recipe) -> ClassSet:
    """The student's classes: those that `teacher.classes` names, else the teacher's own, with its colours if it has any."""
    teacher = recipe.teacher
    if teacher.classes is not None:
        names = tuple(teacher.classes)
    elif teacher.source is None:
        return load_network(Path(str(teacher.run)))[1].classes
    else:
        model = build_network(teacher.source, None)
        names = model.class_names or tuple(f"class {index}" for index in range(model.num_classes))
    return ClassSet(names, default_palette(len(names)))


def _label(frames: Frames, teacher: Teacher, size: tuple[int, int], root: Path, split: str) -> None:
    """Write images and what the teacher sees in them, without loss."""
    count = min(len(frames), LABELLED[split])
    with progress(f"the teacher's labels, {split}") as update:
        for done, index in enumerate(np.linspace(0, len(frames) - 1, count).round().astype(int), 1):
            image = frames.read(int(index))
            name = f"{int(index):07d}.png"
            write_image(root / "images" / split / name, image)
            write_image(root / "masks" / split / name, fit_classes(_seen(teacher, image, size), (image.shape[0], image.shape[1])))
            update(done, count)


@torch.inference_mode()
def _seen(teacher: Teacher, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The teacher's class map at the network's input size, in the student's classes."""
    batch = to_device(fit(image, size), best_device())
    logits = teacher(batch, torch.zeros(1, *size, dtype=torch.long, device=batch.device)).logits
    found = upsample(logits.float(), size).argmax(1)[0].cpu()
    return (found if teacher.classes is None else torch.tensor(teacher.classes.kept)[found]).to(torch.uint8).numpy()
