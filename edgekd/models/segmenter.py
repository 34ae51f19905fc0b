"""The segmenter: backbone, head, 1×1 classifier, and an auxiliary head for training."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edgekd.config import ModelRecipe, nearest, validate
from edgekd.models.backbone import Backbone, can_dilate
from edgekd.models.heads import HEADS
from edgekd.models.heads.fcn import FCNHead
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.files import atomic


class SegOutput(NamedTuple):
    """What a segmenter gives.

    Attributes:
        logits: B×C×h×w at the head's stride.
        features: B×A×h×w, what enters the classifier.
        aux_logits: B×C×h'×w' of the auxiliary head, or None.
    """

    logits: Tensor
    features: Tensor
    aux_logits: Tensor | None


class Segmenter(nn.Module):
    """Backbone + head + classifier (+ auxiliary FCN head on stage 3).

    Args:
        name: ``head-backbone``, e.g. ``deeplabv3-resnet18``.
        num_classes: C.
        in_channels: 3, or 4 for LAD's teacher.
        weights: None, ``timm``, or the path of a local ImageNet checkpoint for the backbone.
        output_stride: 8, 16, 32; None = the head's own, or the backbone's where that can't dilate.
        auxiliary: Add the auxiliary head.
        head_channels: Width of the head; None = the head's own.
        dropout: Before each classifier.

    Attributes:
        classifier: The last 1×1 convolution, A → C.
        stride: Of the logits to the image.

    Raises:
        UsageError: If the head or the backbone is unknown.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        num_classes: int,
        *,
        in_channels: int = 3,
        weights: str | None = None,
        output_stride: int | None = None,
        auxiliary: bool = True,
        head_channels: int | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        head_name, _, backbone_name = name.partition("-")
        if head_name not in HEADS or not backbone_name:
            raise UsageError(f"Unknown model {name!r}: a name is HEAD-BACKBONE, heads are {', '.join(HEADS)}{nearest(head_name, HEADS)}")
        kind = HEADS[head_name]
        if output_stride is None and timm.is_model(backbone_name) and can_dilate(backbone_name):
            output_stride = kind.default_stride
        self.name, self.num_classes, self.in_channels = name, num_classes, in_channels
        self.backbone = Backbone(backbone_name, output_stride=output_stride, in_channels=in_channels, weights=weights)
        self.head = kind(self.backbone.levels, head_channels or kind.default_width)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(self.head.out_channels, num_classes, 1)
        self.auxiliary = AuxiliaryHead(FCNHead(self.backbone.levels, 64, level=-2), num_classes, dropout) if auxiliary else None
        self.stride = self.head.stride
        extra = in_channels - 3
        self.register_buffer("mean", _channels(self.backbone.mean[:in_channels] + (0.0,) * extra), persistent=False)
        self.register_buffer("std", _channels(self.backbone.std[:in_channels] + (1.0,) * extra), persistent=False)

    @property
    def pools_globally(self) -> bool:
        """Whether training needs two images or more in a process."""
        return self.head.pools_globally

    def normalize(self, image: Tensor) -> Tensor:
        """RGB 0–255 (uint8 or float), B×3×H×W → what `forward` takes: (image/255 − mean)/std, float32."""
        return (image.float() / 255 - self.mean[:3]) / self.std[:3]

    def forward(self, image: Tensor) -> SegOutput:
        """Normalised image B×in_channels×H×W → logits, features, auxiliary logits."""
        levels = self.backbone(image)
        features = self.dropout(self.head(levels))
        aux_logits = self.auxiliary(levels) if self.auxiliary is not None else None
        return SegOutput(self.classifier(features), features, aux_logits)


class AuxiliaryHead(nn.Module):
    """FCN head with its classifier."""

    def __init__(self, head: FCNHead, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.head, self.dropout, self.classifier = head, nn.Dropout2d(dropout), nn.Conv2d(head.out_channels, num_classes, 1)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Backbone levels → logits."""
        return self.classifier(self.dropout(self.head(levels)))


def _channels(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None]


def build_segmenter(recipe: ModelRecipe, num_classes: int, in_channels: int = 3) -> Segmenter:
    """A segmenter from its recipe."""
    return Segmenter(
        recipe.name,
        num_classes,
        in_channels=in_channels,
        weights=recipe.weights,
        output_stride=recipe.output_stride,
        auxiliary=recipe.auxiliary,
        head_channels=recipe.head_channels,
        dropout=recipe.dropout,
    )


@dataclass(frozen=True)
class SegmenterFile:
    """What a ``.safetensors`` checkpoint says of itself.

    Attributes:
        model: The recipe that builds it.
        classes: Names and palette.
        in_channels: 3, or 4 for a label-assisted teacher.
        miou: On the validation split when it was saved; NaN before the first validation.
    """

    model: ModelRecipe
    classes: ClassSet
    in_channels: int
    miou: float


def save_segmenter(path: Path, state: dict[str, Tensor], about: SegmenterFile) -> None:
    """Write weights with everything needed to build the model again, atomically."""
    document = {
        "model": about.model.model_dump(mode="json"),
        "classes": asdict(about.classes),
        "in_channels": about.in_channels,
        "miou": about.miou,
    }
    with atomic(path) as temporary:
        save_file({key: value.detach().cpu().contiguous() for key, value in state.items()}, temporary, {"edgekd": json.dumps(document)})


def load_segmenter(path: Path, num_classes: int | None = None) -> tuple[Segmenter, SegmenterFile]:
    """Build the model that a ``.safetensors`` file describes and load it, in eval mode.

    Args:
        path: ``best.safetensors``, or the run folder that holds it.
        num_classes: What the caller's data needs; None = anything.

    Raises:
        EdgeKDError: If the file is missing, damaged, not one of ours, or of another class count.
    """
    if path.is_dir():
        path = path / "best.safetensors"
    if not path.is_file():
        raise EdgeKDError(f"No checkpoint at {path}; train one with `edgekd train` or `edgekd distill`.")
    try:
        with safe_open(path, "pt") as file:
            document = json.loads((file.metadata() or {})["edgekd"])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise EdgeKDError(
            f"{path} is not an edgekd checkpoint in safetensors form (pickles are not loaded); give a run folder or its best.safetensors."
        ) from error
    about = SegmenterFile(
        model=validate(ModelRecipe, document["model"], str(path)).model_copy(update={"weights": None}),
        classes=ClassSet(tuple(document["classes"]["names"]), tuple(tuple(colour) for colour in document["classes"]["palette"])),
        in_channels=document["in_channels"],
        miou=document["miou"] if document["miou"] is not None else float("nan"),
    )
    if num_classes is not None and len(about.classes) != num_classes:
        raise EdgeKDError(f"{path} predicts {len(about.classes)} classes but the data has {num_classes}; use one of this data set.")
    model = build_segmenter(about.model, len(about.classes), about.in_channels)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise EdgeKDError(f"{path} does not fit {about.model.name}: {str(error).splitlines()[-1].strip()}") from error
    return model.eval(), about
