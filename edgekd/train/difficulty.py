"""What RDD sees, as pictures: the teacher's agreement with itself (TFE) and the pixels that teacher and student disagree on (TSE)."""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.config import Recipe
from edgekd.console import Update
from edgekd.data.layout import Layout
from edgekd.distill.rdd import difficulty_mask, pixel_cross_entropy, teacher_agreement
from edgekd.distill.teacher import Teacher
from edgekd.models import Network
from edgekd.train.evaluate import to_device
from edgekd_runtime.files import write_image
from edgekd_runtime.image import fit, fit_classes, paint, text


@torch.inference_mode()
def dump_difficulty(
    student: Network, teacher: Teacher, recipe: Recipe, layout: Layout, count: int, folder: Path, update: Update
) -> list[Path]:
    """Write a picture an image: image, label, TFE map (bright = easy) and TSE mask (white = chosen).

    Args:
        student: Trained, in eval mode.
        teacher: Its teacher.
        recipe: Of the run; its `task` says how difficulty is measured.
        layout: Images, the first `count` of which are used.
        count: How many.
        folder: Where ``difficulty/*.png`` go.
        update: Told of progress.

    Returns:
        The files.
    """
    device = next(student.parameters()).device
    files = []
    for index in range(min(count, len(layout))):
        image, label = layout.read(index)
        small, shown = fit(image, recipe.data.size), fit_classes(label, recipe.data.size)
        labels = torch.from_numpy(shown)[None].long().to(device)
        agreement, chosen = _maps(student, teacher, recipe, to_device(small, device), labels)
        bright = cv2.cvtColor(cv2.applyColorMap((255 * agreement).astype(np.uint8), cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
        mask = np.repeat((255 * chosen).astype(np.uint8)[..., None], 3, 2)
        cells = {"image": small.copy(), "label": paint(shown, layout.classes), "TFE: agreement": bright, f"TSE: {recipe.task.mode}": mask}
        for name, cell in cells.items():
            text(cell, name, (6, 18), 0.5)
        files.append(folder / "difficulty" / f"{index:04d}.png")
        write_image(files[-1], np.hstack(list(cells.values())))
        update(index + 1, min(count, len(layout)))
    return files


def _maps(
    student: Network, teacher: Teacher, recipe: Recipe, image: torch.Tensor, labels: torch.Tensor
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """TFE map and TSE mask of one image, H×W."""
    task = recipe.task
    of_teacher, of_student = teacher(image, labels), student(student.normalize(image))
    if task.difficulty_map == "confidence" or of_teacher.aux_logits is None:
        agreement = torch.exp(-pixel_cross_entropy(of_teacher.logits, labels))
    else:
        agreement = teacher_agreement(of_teacher.logits, of_teacher.aux_logits, recipe.data.size, task.kl)
    loss = pixel_cross_entropy(of_student.logits, labels)
    chosen = difficulty_mask(loss, of_teacher.logits, labels, task.mode, task.threshold, task.min_kept)
    return agreement[0].cpu().numpy(), chosen[0].cpu().numpy()
