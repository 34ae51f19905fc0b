"""A teacher of another task description: which of its classes stand for each of the student's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from edgekd.models import SegOutput
from edgekd_runtime.classes import IGNORE
from edgekd_runtime.errors import UsageError
from edgekd_runtime.nearest import nearest

Given = Mapping[str, str | int | list[str | int] | None]
"""Student class → teacher class or classes, by name or number; null = none."""


class Affine(NamedTuple):
    """The part of a 1×1 convolution that some classes have: weight K×A×1×1, bias K."""

    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class ClassMap:
    """Teacher's classes by the student's.

    Attributes:
        groups: Of each student class that has any, the numbers of its teacher classes; those of several are joined by log-sum-exp.
        kept: Numbers of those student classes. What is transferred is about them alone.
        num_classes: Of the student.
    """

    groups: tuple[tuple[int, ...], ...]
    kept: tuple[int, ...]
    num_classes: int

    @property
    def complete(self) -> bool:
        """Whether every student class has a teacher class."""
        return len(self.kept) == self.num_classes

    def teacher_logits(self, logits: Tensor) -> Tensor:
        """B×C_teacher×h×w → B×K×h×w: the probability of a group is the sum of its classes'."""
        joined = [logits[:, list(group)].float().logsumexp(1) if len(group) > 1 else logits[:, group[0]].float() for group in self.groups]
        return torch.stack(joined, 1)

    def teacher(self, output: SegOutput) -> SegOutput:
        """The teacher's output in the student's classes."""
        aux = None if output.aux_logits is None else self.teacher_logits(output.aux_logits)
        return output._replace(logits=self.teacher_logits(output.logits), aux_logits=aux)

    def student(self, output: SegOutput) -> SegOutput:
        """The student's output of the kept classes."""
        if self.complete:
            return output
        kept = list(self.kept)
        return output._replace(logits=output.logits[:, kept], aux_logits=None if output.aux_logits is None else output.aux_logits[:, kept])

    def labels(self, labels: Tensor) -> Tensor:
        """Labels B×H×W of the kept classes; the others are ignored."""
        if self.complete:
            return labels
        table = torch.full((IGNORE + 1,), IGNORE, dtype=labels.dtype, device=labels.device)
        table[list(self.kept)] = torch.arange(len(self.kept), dtype=labels.dtype, device=labels.device)
        return table[labels]

    def classifier(self, weight: Tensor, bias: Tensor | None) -> Affine:
        """The kept classes' part of the student's classifier."""
        kept = list(self.kept)
        return Affine(weight[kept], None if bias is None else bias[kept])


def class_map(given: Given, student: Sequence[str], teacher: Sequence[str] | None, num_teacher: int) -> ClassMap:
    """Read a recipe's `teacher.classes`.

    Args:
        given: Of every student class.
        student: Names of the student's classes.
        teacher: Names of the teacher's, if they are known.
        num_teacher: Their number.

    Raises:
        UsageError: If a class is missing, unknown, or none is mapped.
    """
    for name in given:
        if name not in student:
            raise UsageError(
                f"teacher.classes: the data has no class {name!r}{nearest(name, student)}; its classes are {', '.join(student)}."
            )
    missing = [name for name in student if name not in given]
    if missing:
        raise UsageError(f"teacher.classes lacks {', '.join(missing)}; name the teacher's class for each, or null if it has none.")
    groups, kept = [], []
    for index, name in enumerate(student):
        value = given[name]
        if value is None:
            continue
        members = tuple(_number(one, teacher, num_teacher) for one in (value if isinstance(value, list) else [value]))
        if members:
            groups.append(members)
            kept.append(index)
    if not kept:
        raise UsageError("teacher.classes maps no class, so nothing would be transferred; map at least one.")
    return ClassMap(tuple(groups), tuple(kept), len(student))


def _number(one: str | int, names: Sequence[str] | None, count: int) -> int:
    if isinstance(one, int):
        if not 0 <= one < count:
            raise UsageError(f"teacher.classes: the teacher has no class {one}; its classes are 0 to {count - 1}.")
        return one
    if names is None:
        raise UsageError(f"teacher.classes: this teacher does not say what its classes are called, so give numbers instead of {one!r}.")
    if one not in names:
        raise UsageError(f"teacher.classes: the teacher has no class {one!r}{nearest(one, names)}; its classes are {', '.join(names)}.")
    return list(names).index(one)
