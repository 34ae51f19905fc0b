"""What training, distillation, evaluation and export need of a model, whoever wrote it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from edgekd.config import ModelRecipe

Gift = Literal["features", "classifier", "auxiliary"]


class SegOutput(NamedTuple):
    """What a network gives.

    Attributes:
        logits: B×C×h×w at the network's own stride.
        features: B×A×h'×w', what enters the classifier or what was named; None if the network gives none.
        aux_logits: B×C×h''×w'' of the auxiliary head, or None.
        boundary: B×1×h×w of a boundary head, in training; or None.
        boosters: B×C×h×w of every further head for training, each at a stride of its own.
    """

    logits: Tensor
    features: Tensor | None = None
    aux_logits: Tensor | None = None
    boundary: Tensor | None = None
    boosters: tuple[Tensor, ...] = ()

    def each(self, change: Callable[[Tensor], Tensor]) -> "SegOutput":
        """Every map changed alike."""
        aux, boundary = (None if value is None else change(value) for value in (self.aux_logits, self.boundary))
        features = None if self.features is None else change(self.features)
        return SegOutput(change(self.logits), features, aux, boundary, tuple(map(change, self.boosters)))


class Network(nn.Module, ABC):
    """A semantic-segmentation network.

    Args:
        recipe: What builds it again; checkpoints keep it.
        num_classes: C.
        in_channels: 3, or 4 for LAD's teacher.
        mean: Of RGB in 0–1, what the weights expect.
        std: Of RGB in 0–1.

    Attributes:
        classifier: The last 1×1 convolution, A → C, that reads `SegOutput.features`; None if there is none. Every subclass sets it.
        multiple: Sides of the input that need no padding are multiples of this; `forward` takes every size.
        one_size: (H, W) that it resizes every image to; None = it takes any.
        trainable: Whether it can be a student; compiled networks can't.
        class_names: Of its classes, if it knows them.
    """

    mean: Tensor
    std: Tensor
    multiple: int = 1
    one_size: tuple[int, int] | None = None
    trainable: bool = True
    class_names: tuple[str, ...] | None = None
    classifier: nn.Conv2d | None

    def __init__(self, recipe: ModelRecipe, num_classes: int, in_channels: int = 3, *, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.recipe, self.num_classes, self.in_channels = recipe, num_classes, in_channels
        extra = in_channels - 3
        for key, values, neutral in (("mean", mean, 0.0), ("std", std, 1.0)):
            self.register_buffer(key, torch.tensor([*values, *[neutral] * extra], dtype=torch.float32)[:, None, None], persistent=False)

    @property
    def name(self) -> str:
        """What cards, tables and messages call it."""
        return self.recipe.name

    @abstractmethod
    def forward(self, image: Tensor) -> SegOutput:
        """Normalised image B×in_channels×H×W → logits and what else it gives."""

    @property
    @abstractmethod
    def gives(self) -> frozenset[Gift]:
        """Which optional parts `forward` gives, and whether there is a last 1×1 `classifier`."""

    @property
    def feature_channels(self) -> int:
        """A, channels of the features; 0 if it gives none."""
        return self.classifier.in_channels if self.classifier is not None else 0

    @property
    @abstractmethod
    def body(self) -> list[nn.Module]:
        """The pretrained part: the learning-rate group of the backbone, and what `batch_norm: freeze` freezes."""

    @property
    @abstractmethod
    def quantised(self) -> list[nn.Module]:
        """The parts that an INT8 export computes in 8 bits."""

    @abstractmethod
    def deployable(self) -> nn.Module:
        """A copy in eval mode of what ships: normalised image B×3×H×W → logits B×C×h×w. Training-only parts are left behind."""

    def drop_auxiliary(self) -> None:
        """Leave training-only heads out of `forward` for good, as for a teacher whose heads nothing reads."""

    @property
    def grid(self) -> int:
        """Coarsest stride of what `forward` gives, in pixels: places that are multiples of it apart have cells of every map in common."""
        return self.multiple

    @property
    def pools_globally(self) -> bool:
        """Whether training needs two images or more in a process."""
        return False

    @property
    def normalisation(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation of RGB in 0–1, for the checkpoint."""
        return tuple(self.mean[:3].flatten().tolist()), tuple(self.std[:3].flatten().tolist())

    def normalize(self, image: Tensor) -> Tensor:
        """RGB 0–255 (uint8 or float), B×3×H×W → what `forward` takes: (image/255 − mean)/std, float32."""
        return (image.float() / 255 - self.mean[:3]) / self.std[:3]
