"""The sections `task` and `transfer`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, NonNegativeFloat, Tag, model_validator

from edgekd.config.base import Strict

ClassWeights = Annotated[
    Annotated[list[NonNegativeFloat], Tag("list")] | Annotated[Literal["auto", "median-frequency", "effective-number"], Tag("name")],
    Discriminator(lambda given: "list" if isinstance(given, (list, tuple)) else "name"),
]


class TaskRecipe(Strict):
    """The supervised loss and its pixel weighting."""

    weighting: Literal["plain", "ohem", "difficulty"] = "plain"
    """Pixel weighting of the task loss: ``plain``, ``ohem`` (only the pixels that are hard for the model itself) or ``difficulty``
    (RDD)."""
    auxiliary: float = Field(0.4, ge=0)
    """Weight of the auxiliary head's cross entropy."""
    class_weights: ClassWeights | None = None
    """Class weights of the cross entropy: a list with one per class, or computed from the training labels by ``median-frequency`` (also
    ``auto``) or ``effective-number``; None = all 1."""
    class_weighting: Literal["both", "code"] = "both"
    """RDD: where class weights apply: ``both`` = in TFE and TSE, whose means divide by the number of pixels; ``code`` = in TSE only, whose
    mean divides by the sum of the weights, as in the public code."""
    group: int | None = Field(None, ge=1)
    """Number of images over which loss means are taken and RDD's hard pixels are selected, as per GPU in the papers; None = the whole batch
    over all processes."""
    dice: float = Field(0.0, ge=0)
    """Weight of the Dice loss of the main head; 0 = none."""
    boundary: float = Field(1.0, ge=0)
    """Weight of PIDNet's boundary loss, for students with a boundary head; 1 as published."""
    pseudo: float = Field(0.0, ge=0)
    """Weight of the cross entropy on unlabelled images, with the teacher's confident classes as labels; 0 = none."""
    detail: float = Field(0.0, ge=0)
    """Weight of STDC's detail guidance, a training-only head on the backbone's stride-8 level; 0 = none, 1 as published."""
    warmup: float = Field(0.1, ge=0, le=1)
    """RDD: share of the run in the teacher-full evaluated (TFE) stage, 0–1."""
    difficulty_map: Literal["auxiliary", "confidence"] = "auxiliary"
    """RDD: difficulty map of the TFE stage: ``auxiliary`` = divergence of the teacher's two heads, ``confidence`` = the teacher's
    probability of the label."""
    kl: Literal["code", "paper"] = "code"
    """RDD: direction of the divergence in TFE: ``code`` = KL(aux‖main), ``paper`` = KL(main‖aux)."""
    mode: Literal["xor", "or", "and", "ohem"] = "xor"
    """RDD: which pixels the TSE stage keeps: hard for exactly one of teacher and student (``xor``), for either (``or``), for both
    (``and``), or for the student (``ohem``)."""
    threshold: float = Field(0.7, ge=0, le=1)
    """RDD, OHEM: a pixel is hard if the probability of its label is at or below this value."""
    min_kept: int = Field(25_000, ge=0)
    """RDD, OHEM: minimum number of pixels to keep per image, by raising the threshold; 0 = the threshold is fixed, as in the paper."""
    reduction: Literal["kept", "all"] = "kept"
    """RDD: average over the ``kept`` pixels (as in the code) or over ``all`` pixels (as in the paper)."""
    blend: bool = False
    """RDD: after `warmup`, use α·TFE + (1−α)·TSE with α falling linearly from 1 to 0."""

    @model_validator(mode="after")
    def _some_class_counts(self) -> "TaskRecipe":
        if self.class_weights is not None and not any(self.class_weights):
            raise ValueError("class_weights are all 0, so no class would be learnt")
        return self


class TransferRecipe(BaseModel):
    """One distillation loss; further keys are options of the method, checked against its signature."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, use_attribute_docstrings=True)
    method: str
    """Name of the loss, as `edgekd methods` lists the transfers, or ``package.module:Name``."""
    name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Name of this loss in logs and checkpoints; None = the method, numbered if it is listed more than once."""
    weight: float | None = Field(None, ge=0)
    """Weight of the loss; None = the method's published weight."""

    @property
    def options(self) -> dict[str, Any]:
        """The method's own options."""
        return dict(self.model_extra or {})
