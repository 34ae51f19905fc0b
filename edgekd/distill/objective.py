"""What a run minimises: one module that holds everything trained and gives the weighted loss parts of a batch."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from torch import Tensor, nn

from edgekd.config import TaskRecipe, TransferRecipe
from edgekd.distill.boundary import boundary_loss
from edgekd.distill.class_map import Affine
from edgekd.distill.cwd import channel_kd
from edgekd.distill.detail import DetailGuidance
from edgekd.distill.lad import LabelNoiser, with_label
from edgekd.distill.processes import sample_seed
from edgekd.distill.pseudo import images_at, outputs_at, pseudo_labels, pseudo_loss
from edgekd.distill.registry import build_transfer, transfer_names, transfer_reads
from edgekd.distill.task import MISSING_MAP, TASKS, Parts
from edgekd.distill.teacher import Teacher, at_student_size
from edgekd.distill.transfer import NEEDS, Maps, Pair, Widths
from edgekd.models import Network, SegOutput
from edgekd_runtime.errors import UsageError


class Objective(nn.Module, ABC):
    """A model and its loss.

    Args:
        student: What is trained and kept.
        task: The supervised loss.
    """

    def __init__(self, student: Network, task: TaskRecipe) -> None:
        super().__init__()
        self.student = student
        self.task = TASKS[task.weighting](task, student.num_classes)
        self.boundary = task.boundary
        self.detail = DetailGuidance(student, task.detail) if task.detail else None

    @abstractmethod
    def forward(self, image: Tensor, labels: Tensor, progress: float, labelled: Sequence[int] | None = None) -> Parts:
        """The weighted loss parts of a batch.

        Args:
            image: RGB uint8 B×3×H×W.
            labels: int64 B×H×W, 255 = ignore.
            progress: Share of the run.
            labelled: Which images of the batch have labels; None = all. Of the others only what is transferred counts.
        """

    def supervise(
        self, output: SegOutput, teacher: SegOutput | None, labels: Tensor, progress: float, labelled: Sequence[int] | None = None
    ) -> Parts:
        """The loss on the labels of the student's latest forward: the task, its boundary head's, and detail guidance where it is on."""
        if labelled is not None:
            if not labelled:
                return {}
            output, labels = outputs_at(output, labelled), images_at(labels, labelled)
            teacher = teacher and outputs_at(teacher, labelled)
        parts = self.task(output, teacher, labels, progress)
        if output.boundary is not None:  # also at weight 0, so that DDP sees every parameter
            parts |= {"boundary": self.boundary * boundary_loss(output.boundary, output.logits, labels)}
        return parts if self.detail is None else parts | {"detail": self.detail(labels, labelled)}

    def second_players(self) -> list[nn.Parameter]:
        """Parameters that play against the student and have an optimiser of their own."""
        return [parameter for module in self.modules() for parameter in getattr(module, "second_player", [])]


class Supervised(Objective):
    """The task loss alone: a teacher, or the baseline student."""

    def forward(self, image: Tensor, labels: Tensor, progress: float, labelled: Sequence[int] | None = None) -> Parts:
        return self.supervise(self.student(self.student.normalize(image)), None, labels, progress, labelled)


class LabelAssisted(Objective):
    """LAD's teacher: two draws of the label noise, the task loss on both paths, and CWD both ways between them.

    Args:
        student: The 4-channel segmenter.
        task: The supervised loss.
        noiser: Draws w and ε.
        consistency: Weight of CWD_T4(o1, sg(o2)) + CWD_T4(o2, sg(o1)).
        consistency_from: Share of the run after which that term counts.
    """

    def __init__(
        self, student: Network, task: TaskRecipe, noiser: LabelNoiser, consistency: float = 5.0, consistency_from: float = 0.0
    ) -> None:
        super().__init__(student, task)
        self.noiser, self.consistency, self.consistency_from = noiser, consistency, consistency_from

    def forward(self, image: Tensor, labels: Tensor, progress: float, labelled: Sequence[int] | None = None) -> Parts:
        normal = self.student.normalize(image)
        outputs, parts = [], []
        for _ in range(2):
            noised = self.noiser(labels, sample_seed(len(labels)))
            outputs.append(self.student(with_label(normal, noised)))
            parts.append(self.supervise(outputs[-1], None, labels, progress, labelled))
        first, second = (output.logits for output in outputs)
        consistency = channel_kd(first, second.detach()) + channel_kd(second, first.detach())
        weight = self.consistency if progress >= self.consistency_from else 0.0
        return {name: parts[0][name] + parts[1][name] for name in parts[0]} | {"consistency": weight * consistency}


class Distillation(Objective):
    """A student under a teacher: weighted task loss and any list of transfers.

    Args:
        student: What is trained.
        teacher: Where knowledge comes from; never trained, never saved.
        task: The supervised loss and its weighting.
        transfers: What is transferred.
        layout: Data layout, for weights published for it.
        confidence: Probability from which the teacher's class stands for the label of an unlabelled image.

    Raises:
        UsageError: If the teacher or the student lacks what a part needs.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teacher,
        task: TaskRecipe,
        transfers: Sequence[TransferRecipe],
        layout: str = "",
        confidence: float = 0.9,
    ) -> None:
        super().__init__(student, task)
        check_needs(student, teacher, task, transfers)
        self.confidence, self.pseudo = confidence, task.pseudo
        self.guesses = bool(task.pseudo) or any("labels" in transfer_reads(recipe) for recipe in transfers)
        self._teacher = (teacher,)  # in a tuple: not a submodule
        num_classes = student.num_classes if teacher.classes is None else len(teacher.classes.kept)
        widths = Widths(num_classes, student.feature_channels, teacher.model.feature_channels, layout)
        built = {name: build_transfer(recipe, widths) for name, recipe in zip(transfer_names(transfers), transfers, strict=True)}
        self.weights = {name: weight for name, (weight, _) in built.items()}
        self.transfers = nn.ModuleDict({name: module for name, (_, module) in built.items()})

    @property
    def teacher(self) -> Teacher:
        """The teacher."""
        return self._teacher[0]

    def _apply(self, fn: Any, recurse: bool = True) -> "Distillation":
        """What `to`, `cuda` and `cpu` call: the teacher, which is no submodule, goes to the student's device."""
        super()._apply(fn, recurse)
        self.teacher.model.to(next(self.student.parameters()).device)
        return self

    def forward(self, image: Tensor, labels: Tensor, progress: float, labelled: Sequence[int] | None = None) -> Parts:
        of_teacher = self.teacher(image, labels)
        of_student = self.student(self.student.normalize(image))
        parts = self.supervise(of_student, of_teacher, labels, progress, labelled)
        unlabelled = [] if labelled is None else [index for index in range(len(image)) if index not in labelled]
        if self.transfers or (self.pseudo and unlabelled):
            pair = self._pair(of_student, at_student_size(of_teacher, of_student), labels, progress)
            if self.guesses and unlabelled:
                pair = replace(pair, labels=pseudo_labels(of_teacher.logits, pair.labels, unlabelled, self.confidence))
            parts |= {name: self.weights[name] * module(pair) for name, module in self.transfers.items()}
            if self.pseudo and unlabelled:
                parts["pseudo"] = self.pseudo * pseudo_loss(pair.student.logits, pair.labels, unlabelled)
        return parts

    def _pair(self, student: SegOutput, teacher: SegOutput, labels: Tensor, progress: float) -> Pair:
        """What the transfers see: of the classes that both networks have."""
        classifier, classes = self.student.classifier, self.teacher.classes
        affine = None if classifier is None else Affine(classifier.weight, classifier.bias)
        if classes is not None and not classes.complete:
            student, labels = classes.student(student), classes.labels(labels)
            affine = None if classifier is None else classes.classifier(classifier.weight, classifier.bias)
        return Pair(Maps.of(student), Maps.of(teacher), labels, cast(Affine, affine), progress)


def needs_auxiliary(task: TaskRecipe, transfers: Sequence[TransferRecipe]) -> bool:
    """Whether any part reads the teacher's auxiliary logits."""
    return task.weighting == "difficulty" or any("auxiliary" in transfer_reads(recipe) for recipe in transfers)


def check_needs(student: Network, teacher: Teacher, task: TaskRecipe, transfers: Sequence[TransferRecipe]) -> None:
    """Refuse before training what would fail in it.

    Raises:
        UsageError: With what to change.
    """
    if (
        task.weighting == "difficulty"
        and task.difficulty_map == "auxiliary"
        and "auxiliary" not in teacher.model.gives
        and (task.warmup or task.blend)
    ):
        raise UsageError(MISSING_MAP)
    if task.weighting == "difficulty" and teacher.classes is not None and not teacher.classes.complete:
        raise UsageError(
            "RDD asks the teacher about each label: map each class to one of the teacher's in teacher.classes, or use task.weighting=plain."
        )
    models = {"student": student, "teacher": teacher.model}
    for recipe in transfers:
        for need in sorted(transfer_reads(recipe)):
            for role in NEEDS[need]:
                if need not in models[role].gives:
                    raise UsageError(f"The transfer {recipe.method} reads {LACKS[need].format(role)}, or choose another transfer.")


LACKS = {
    "auxiliary": "the auxiliary head, and this {} has none: set auxiliary: true for it",
    "features": "features, and this {} gives none: name the module that they come from",
    "classifier": "the last 1x1 convolution and its input, and this {} has none that is known: name the two modules",
}
"""What is missing of a model, and what gives it."""
