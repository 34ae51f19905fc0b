"""What the whole networks from papers have in common: a trunk, a head, a classifier, and heads for training only."""

from abc import abstractmethod
from collections import OrderedDict
from copy import deepcopy
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from edgekd.config import ModelRecipe
from edgekd.models.backbone import IMAGENET_MEAN, IMAGENET_STD
from edgekd.models.network import Gift, Network, SegOutput
from edgekd.models.networks.load import load_published
from edgekd_runtime.errors import UsageError


class WholeNetwork(Network):
    """A network built as one piece from its paper.

    Args:
        recipe: `head_channels` replaces the published width of the head, `weights` is a published file, `auxiliary` adds the heads for
            training.
        num_classes: C.
        in_channels: 3, or 4 for LAD's teacher.

    Attributes:
        trunk: Image → maps: what the head reads first, then what the heads for training read.
        head: Of the first map, the features that enter the classifier.
        training_only: Heads by name: ``auxiliary`` gives the auxiliary logits, ``boundary`` B×1×h×w, every other one further logits.
        stride: Of the logits to the image.

    Raises:
        UsageError: If the recipe asks for what the network does not have.
        EdgeKDError: If the weights do not fit.
    """

    width: ClassVar[int]
    """Published channels of the features."""
    keys: ClassVar[dict[str, str]]
    """Names in published files → ours, the first prefix that fits; the rest belongs to the trunk."""
    taps: ClassVar[dict[str, int]] = {}
    """Head for training → which of the trunk's maps it reads."""
    stride: ClassVar[int] = 8
    multiple = 32
    normalises_a_pixel: ClassVar[bool] = True
    trunk: nn.Module
    head: nn.Module
    training_only: nn.ModuleDict

    def __init__(self, recipe: ModelRecipe, num_classes: int, in_channels: int = 3) -> None:
        super().__init__(recipe, num_classes, in_channels, mean=IMAGENET_MEAN, std=IMAGENET_STD)
        if recipe.output_stride is not None:
            raise UsageError(f"{recipe.name} has one output stride; leave output_stride out of the recipe.")
        if recipe.weights == "timm":
            raise UsageError(f"timm has no weights of {recipe.name}; give weights the path of a published file, or leave it out.")
        self.dropout = nn.Dropout2d(recipe.dropout)
        self.build(recipe.head_channels or self.width)
        if not recipe.auxiliary:
            self.drop_auxiliary()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if recipe.weights is not None:
            load_published(self, self.keys, Path(recipe.weights))

    @abstractmethod
    def build(self, width: int) -> None:
        """Set `trunk`, `head`, `classifier` and `training_only`, in the order of the published files."""

    @property
    def gives(self) -> frozenset[Gift]:
        gifts: set[Gift] = {"features"}
        if self.classifier is not None:
            gifts.add("classifier")
        if "auxiliary" in self.training_only:
            gifts.add("auxiliary")
        return frozenset(gifts)

    @property
    def body(self) -> list[nn.Module]:
        return [self.trunk]

    @property
    def quantised(self) -> list[nn.Module]:
        return [self.trunk, self.head]

    @property
    def pools_globally(self) -> bool:
        return self.normalises_a_pixel

    def classify(self, features: Tensor) -> Tensor:
        """Features → logits."""
        assert self.classifier is not None
        return self.classifier(features)

    def forward(self, image: Tensor) -> SegOutput:
        maps = self.trunk(image)
        features = self.dropout(self.head(maps[0]))
        heads = {name: head for name, head in self.training_only.items() if self.training or name == "auxiliary"}
        seen = {name: head(maps[self.taps[name]]) for name, head in heads.items()}
        auxiliary, boundary = seen.pop("auxiliary", None), seen.pop("boundary", None)
        return SegOutput(self.classify(features), features, auxiliary, boundary, tuple(seen.values()))

    def drop_auxiliary(self) -> None:
        self.training_only = nn.ModuleDict()

    def deployable(self) -> nn.Module:
        copy = deepcopy(self).eval()
        last = copy.classifier if copy.classifier is not None else copy.get_submodule("final")
        return nn.Sequential(OrderedDict(trunk=copy.trunk, first=First(), head=copy.head, classifier=last)).eval()


class First(nn.Module):
    """The first of the trunk's maps."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        return maps[0]
