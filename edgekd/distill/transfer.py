"""What every transferred loss is: a module that sees student and teacher side by side and gives a scalar."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, cast

from pydantic import Field
from torch import Tensor, nn

from edgekd.distill.class_map import Affine
from edgekd.models import SegOutput

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Maps(NamedTuple):
    """A network's output as a transfer reads it: what a transfer needs is there, since a pair that lacks it is refused before training."""

    logits: Tensor
    features: Tensor
    aux_logits: Tensor | None

    @staticmethod
    def of(output: SegOutput) -> "Maps":
        """Of either network."""
        return Maps(output.logits, cast(Tensor, output.features), output.aux_logits)


@dataclass(frozen=True)
class Pair:
    """One step as a transfer sees it. The teacher's maps have been resized to the student's.

    Attributes:
        student, teacher: Outputs; the teacher's without gradients.
        labels: B×H×W, 255 = ignore; of unlabelled images the teacher's classes where it is confident.
        classifier: Weight C×A×1×1 and bias of the student's last 1×1 convolution.
        progress: Share of the run that is done, 0–1.
    """

    student: Maps
    teacher: Maps
    labels: Tensor
    classifier: Affine
    progress: float


NEEDS = {
    "features": ("student", "teacher"),
    "classifier": ("student",),
    "auxiliary": ("student", "teacher"),
    "labels": (),
}
"""What a transfer may read besides the logits, and which models must give it. ``features`` enter the classifier; ``classifier`` is
that 1×1 convolution with the features it reads; ``auxiliary`` are the auxiliary head's logits; ``labels`` come with the data."""


@dataclass(frozen=True)
class Widths:
    """What transfers with projections, statistics or weights of their own are built for: channel counts, and the data layout."""

    num_classes: int
    student: int
    teacher: int
    layout: str = ""


class Transfer(nn.Module, ABC):
    """A transferred loss.

    A subclass whose constructor has a parameter named `widths` is given the channel counts; every other parameter is an option
    of the recipe.

    Attributes:
        paper: Where it comes from.
        summary: What it is, in a few words without a full stop, for `edgekd methods`.
        default_weight: Published weight.
        data_weights: Published weights that differ for a data layout.
        needs: What it reads, of `NEEDS`.
        companions: Transfers that the paper always trains with it.
    """

    paper: ClassVar[str]
    summary: ClassVar[str]
    default_weight: ClassVar[float]
    data_weights: ClassVar[dict[str, float]] = {}
    needs: ClassVar[frozenset[str]] = frozenset()
    companions: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def reads(cls, **options: Any) -> frozenset[str]:
        """What it reads under these options of the recipe; `needs` unless they change it."""
        return cls.needs

    @abstractmethod
    def forward(self, pair: Pair) -> Tensor:
        """The unweighted loss, a scalar."""
