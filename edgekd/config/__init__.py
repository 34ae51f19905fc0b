"""The recipe: a whole run as data, in strict models, one file a section. `edgekd.loading` reads and writes them."""

from typing import Literal

from pydantic import Field, model_validator

from edgekd.config.base import SMALLEST, Strict
from edgekd.config.data import DataRecipe
from edgekd.config.losses import TaskRecipe, TransferRecipe
from edgekd.config.networks import ModelRecipe, TeacherRecipe
from edgekd.config.training import SpeedRecipe, TrainRecipe

__all__ = [
    "SMALLEST",
    "DataRecipe",
    "ModelRecipe",
    "Recipe",
    "SpeedRecipe",
    "Strict",
    "TaskRecipe",
    "TeacherRecipe",
    "TrainRecipe",
    "TransferRecipe",
]

TITLES = {"teacher": "teacher", "lad-teacher": "teacher, shown the label", "baseline": "student alone"}
"""Methods that train no student under a teacher."""


class Recipe(Strict):
    """A whole run."""

    name: str = Field(pattern=r"^[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,199}$")
    """Name of the run in cards and reports."""
    objective: Literal["supervised", "label-assisted", "distillation"] = "distillation"
    """What the run trains: ``supervised`` = a network alone, ``label-assisted`` = LAD's teacher, ``distillation`` = a student with a
    teacher."""
    method: str = "recipe"
    """Distillation method as named by `edgekd distill --method`, for cards and reports."""
    data: DataRecipe
    """Data set, augmentation and splits."""
    student: ModelRecipe
    """Network that is trained."""
    teacher: TeacherRecipe = TeacherRecipe()
    """Teacher: what it is and how it is trained."""
    task: TaskRecipe = TaskRecipe()
    """Supervised loss."""
    transfer: list[TransferRecipe] = []
    """Distillation losses: a list, each with `method`, `weight` and the method's options."""
    train: TrainRecipe = TrainRecipe()
    """Training loop."""

    @property
    def title(self) -> str:
        """What progress lines call this run: the recipe, and which network is trained how."""
        return f"{self.name} {TITLES.get(self.method, f'student, {self.method}')}"

    @model_validator(mode="after")
    def _whole_groups(self) -> "Recipe":
        group, at_a_time = self.task.group, self.train.batch_size // self.train.accumulate
        if group is not None and at_a_time % group:
            raise ValueError(f"task.group of {group} does not divide the {at_a_time} images of train.batch_size; change either")
        return self
