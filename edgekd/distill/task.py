"""The supervised loss, with the pixels' weights: plain, the model's hard pixels, or RDD's relative difficulty."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgekd.config import TaskRecipe
from edgekd.distill.dice import dice_loss
from edgekd.distill.processes import each_process_alone, weighted_mean
from edgekd.distill.rdd import (
    agreement_loss,
    class_weights_at,
    hard_from_loss,
    hard_pixels,
    pixel_cross_entropy,
    relative_difficulty_loss,
    teacher_agreement,
)
from edgekd.models import SegOutput
from edgekd_runtime.classes import IGNORE
from edgekd_runtime.errors import UsageError

Parts = dict[str, Tensor]


class Shared(NamedTuple):
    """What a weighting computes once a step for both heads.

    Attributes:
        agreement: TFE's map, B×H×W.
        hard: The teacher's hard pixels, bool B×H×W.
        hard_of: The logits that they are of.
    """

    agreement: Tensor | None = None
    hard: Tensor | None = None
    hard_of: Tensor | None = None


class TaskLoss(nn.Module, ABC):
    """Cross entropy of the main head + a·cross entropy of the auxiliary head, each over its own pixel weights; dice where it is on.

    Args:
        recipe: Weights and weighting.
        num_classes: C.

    Raises:
        UsageError: If the class weights are not one a class.
    """

    class_weights: Tensor | None

    def __init__(self, recipe: TaskRecipe, num_classes: int) -> None:
        super().__init__()
        weights = recipe.class_weights
        if isinstance(weights, str):
            raise UsageError(f"task.class_weights is still {weights!r}; edgekd.data.balance computes the numbers from a training split.")
        if weights is not None and len(weights) != num_classes:
            raise UsageError(f"task.class_weights has {len(weights)} values for {num_classes} classes; give one a class.")
        self.recipe = recipe
        self.register_buffer("class_weights", torch.tensor(weights) if weights else None, persistent=False)

    def forward(self, student: SegOutput, teacher: SegOutput | None, labels: Tensor, progress: float) -> Parts:
        """Loss parts, already weighted: ``task``; ``auxiliary`` of the auxiliary head, ``auxiliary2`` … of further ones; ``dice`` if on.

        Raises:
            UsageError: If a process's images are no whole number of groups.
        """
        if (size := self.recipe.group) is None:
            return self.parts(student, teacher, labels, progress)
        if len(labels) % size:
            raise UsageError(f"task.group of {size} does not divide the {len(labels)} images that a process has at a time; change either.")
        starts = range(0, len(labels), size)
        with each_process_alone():
            groups = [
                self.parts(_images(student, start, size), teacher and _images(teacher, start, size), labels[start : start + size], progress)
                for start in starts
            ]
        return {name: torch.stack([parts[name] for parts in groups]).mean() for name in groups[0]}

    def parts(self, student: SegOutput, teacher: SegOutput | None, labels: Tensor, progress: float) -> Parts:
        """`forward` of one group of images."""
        heads = {"task": (1.0, student.logits, teacher.logits if teacher else None)}
        if student.aux_logits is not None:  # also at weight 0, so that DDP sees every parameter
            aux_teacher = None if teacher is None else teacher.logits if teacher.aux_logits is None else teacher.aux_logits
            for index, logits in enumerate((student.aux_logits, *student.boosters)):
                heads[f"auxiliary{index + 1}" if index else "auxiliary"] = (self.recipe.auxiliary, logits, aux_teacher)
        prepared = self.prepare(teacher, labels, progress)
        parts = {
            name: weight * self.reduce(logits, of_teacher, labels, prepared, progress)
            for name, (weight, logits, of_teacher) in heads.items()
        }
        return parts | {"dice": self.recipe.dice * dice_loss(student.logits, labels)} if self.recipe.dice else parts

    def prepare(self, teacher: SegOutput | None, labels: Tensor, progress: float) -> Shared:
        """What both heads share in a step."""
        return Shared()

    @abstractmethod
    def reduce(self, logits: Tensor, teacher_logits: Tensor | None, labels: Tensor, shared: Shared, progress: float) -> Tensor:
        """Logits B×C×h×w of a head → scalar."""


def _images(output: SegOutput, start: int, count: int) -> SegOutput:
    """So many images of a batch."""
    return output.each(lambda value: value[start : start + count])


class PlainTask(TaskLoss):
    """The mean over labelled pixels; with class weights the weighted mean, as `torch.nn.CrossEntropyLoss` has it."""

    def reduce(self, logits: Tensor, teacher_logits: Tensor | None, labels: Tensor, shared: Shared, progress: float) -> Tensor:
        loss = pixel_cross_entropy(logits, labels)
        return weighted_mean(loss, class_weights_at(labels, self.class_weights, loss) * self.choose(loss, labels))

    def choose(self, loss: Tensor, labels: Tensor) -> Tensor:
        """Pixels that count, bool B×H×W."""
        return labels != IGNORE


class HardTask(PlainTask):
    """Online hard example mining (Shrivastava et al. 2016): the mean over the pixels that are hard for the model, each head's its own."""

    def choose(self, loss: Tensor, labels: Tensor) -> Tensor:
        return hard_from_loss(loss, labels != IGNORE, self.recipe.threshold, self.recipe.min_kept * len(labels))


class DifficultyTask(TaskLoss):
    """RDD: the TFE map for the first part of the run, then the TSE mask, or a blend of both."""

    def prepare(self, teacher: SegOutput | None, labels: Tensor, progress: float) -> Shared:
        if teacher is None:
            return Shared()
        recipe, warm = self.recipe, progress < self.recipe.warmup
        agreement = self.agreement(teacher, labels) if warm or recipe.blend else None
        hard = None
        if not warm and recipe.mode != "ohem":
            hard = hard_pixels(teacher.logits, labels, recipe.threshold, recipe.min_kept * len(labels))
        return Shared(agreement, hard, teacher.logits)

    def agreement(self, teacher: SegOutput, labels: Tensor) -> Tensor:
        """TFE's weight of every pixel, B×H×W."""
        if self.recipe.difficulty_map == "confidence":
            return torch.exp(-pixel_cross_entropy(teacher.logits, labels))
        if teacher.aux_logits is None:
            raise UsageError(MISSING_MAP)
        return teacher_agreement(teacher.logits, teacher.aux_logits, (labels.shape[-2], labels.shape[-1]), self.recipe.kl)

    def reduce(self, logits: Tensor, teacher_logits: Tensor | None, labels: Tensor, shared: Shared, progress: float) -> Tensor:
        if teacher_logits is None:
            raise UsageError("RDD's task weighting needs a teacher; use `edgekd distill` with one.")
        recipe, code = self.recipe, self.recipe.class_weighting == "code"
        tfe = None
        if shared.agreement is not None:
            tfe = agreement_loss(logits, shared.agreement, labels, None if code else self.class_weights)
        if tfe is not None and progress < recipe.warmup:
            return tfe
        tse = relative_difficulty_loss(
            logits,
            teacher_logits,
            labels,
            recipe.mode,
            recipe.threshold,
            recipe.min_kept * len(labels),
            class_weights=self.class_weights,
            reduction=recipe.reduction,
            divisor="weights" if code else "pixels",
            teacher_hard=shared.hard if teacher_logits is shared.hard_of else None,
        )
        if tfe is None:
            return tse
        alpha = (1 - progress) / max(1 - recipe.warmup, 1e-9)
        return alpha * tfe + (1 - alpha) * tse


MISSING_MAP = (
    "RDD compares the teacher's two heads, and this teacher has no auxiliary head: "
    "train one with auxiliary: true, or set task.difficulty_map=confidence."
)
TASKS: dict[str, type[TaskLoss]] = {"plain": PlainTask, "ohem": HardTask, "difficulty": DifficultyTask}
