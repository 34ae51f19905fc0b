"""The sections `student` and `teacher`."""

from typing import Any, Literal

from pydantic import Field, PositiveFloat, field_validator, model_validator

from edgekd.config.base import Side, Strict


class ModelRecipe(Strict):
    """A network: ``HEAD-BACKBONE``, a complete architecture by name, or one from elsewhere."""

    name: str
    """The network: ``HEAD-BACKBONE`` with any timm feature backbone, e.g. ``deeplabv3-resnet18``; ``package.module:function``;
    ``hf:FOLDER_OR_ID``; for a teacher also a file ``.onnx``, ``.pt2`` or ``.pt`` (TorchScript)."""
    weights: str | None = None
    """Initial weights: ``timm`` = pretrained weights from timm's hub, a path = a local ImageNet checkpoint of the backbone (for
    ``package.module:function`` a checkpoint of the whole network), None = random initialisation."""
    output_stride: Literal[8, 16, 32] | None = None
    """Output stride of the backbone: 8, 16 or 32; None = the head's default, or the backbone's own stride if it can't be dilated."""
    auxiliary: bool = True
    """Train with an auxiliary FCN head on stage 3."""
    head_channels: int | None = Field(None, ge=8)
    """Channels of the head; None = the head's default."""
    auxiliary_channels: int = Field(64, ge=8)
    """Channels of the auxiliary head; the papers use a quarter of the stage's channels: 64 for ResNet-18, 256 for ResNet-101."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout probability before the classifiers."""
    dropout_of: Literal["channels", "elements"] = "channels"
    """What `dropout` zeroes: whole ``channels``, or single ``elements`` as in the code of CIRKD, RDD and LAD."""
    projection_dropout: float = Field(0.0, ge=0, lt=1)
    """Element-wise dropout probability after the projection of DeepLabV3's ASPP; 0.5 in the code of CIRKD, RDD and LAD."""
    pixels: Literal["rgb", "bgr"] = "rgb"
    """Input that `weights` were trained on: ``rgb`` with timm's normalisation, or ``bgr`` in 0–255 minus the mean, as some papers' ResNet
    checkpoints; their first convolution is converted, so that the network reads RGB in either case."""
    batch_norm: Literal["train", "freeze"] = "train"
    """Batch norm: ``train``, or ``freeze`` to keep the pretrained backbone's statistics and affine parameters."""
    body: Literal["train", "freeze"] = "train"
    """Everything but the head: ``train``, or ``freeze`` to train the head alone on unchanged pretrained weights and statistics."""
    options: dict[str, Any] = {}
    """For a network from elsewhere: keyword arguments of the function or of ``from_pretrained``."""
    logits: str | None = None
    """For a network from elsewhere: key, attribute, index or ONNX tensor name of the logits in its output; None = the output itself if
    it is a tensor, else ``out``, ``logits`` or the first item."""
    features: str | None = None
    """For a network from elsewhere: dotted name of the module whose output the transfers read as features."""
    classifier: str | None = None
    """For a network from elsewhere: dotted name of the last 1×1 convolution, whose input is the features."""
    auxiliary_logits: str | None = None
    """For a network from elsewhere: key of the auxiliary head's logits; None = ``aux``."""
    mean: tuple[float, float, float] | None = None
    """For a network from elsewhere: mean of the input normalisation, RGB in 0–1; None = from its files, else ImageNet's."""
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    """For a network from elsewhere: standard deviation of the input normalisation, RGB in 0–1; None = from its files, else ImageNet's."""
    trust: bool = False
    """For a network from elsewhere: allow loading a file that contains code (``.pt2``, TorchScript)."""


class TeacherRecipe(Strict):
    """The teacher: what it is and how it is trained."""

    model: ModelRecipe | None = None
    """The network that `edgekd train --part teacher` trains; None = `run` or `source` gives the teacher."""
    run: str | None = None
    """The trained teacher: a run folder or a ``.safetensors`` file."""
    source: ModelRecipe | None = None
    """A trained teacher from elsewhere: its name, e.g. ``hf:FOLDER`` or ``teacher.onnx``, or a section with the keys of `student`."""
    classes: dict[str, str | int | list[str | int] | None] | None = None
    """Mapping from each student class to the teacher's class or classes, by name or index; null = no counterpart, nothing is transferred
    for that class; several are joined by log-sum-exp. None = both have the same classes."""
    scale: float = Field(1.0, gt=0, le=8)
    """Scale factor of the teacher's input relative to the student's."""
    steps: int | None = Field(None, ge=1)
    """Training steps of the teacher; None = `train.steps`."""
    window: tuple[Side, Side] | None = None
    """Sliding-window inference of the teacher during distillation: window (H, W) in pixels, overlapping outputs are averaged; for
    transformers trained on small images. None = the whole crop at once."""
    confidence: float = Field(0.9, ge=0, le=1)
    """For unlabelled images: minimum probability at which the teacher's class is used as a label by losses that read labels; other pixels
    are ignored. High by default, since a wrong label does more harm than a missing one."""
    cache: float | None = Field(None, gt=0)
    """Maximum size in GB of a disk cache of the teacher's outputs; requires training without random scale, crop, color, blur and rare
    classes. None = no cache."""
    label_assisted: bool = False
    """LAD: use the student's architecture with the label as a fourth input channel as the teacher, instead of `model`."""
    label_weights: Literal["normal", "table"] = "normal"
    """LAD: class weights of the label channel during distillation: ``normal`` draws them from N(0, 1) each time, ``table`` spaces them
    evenly over [−1.1, 1]."""
    label_start: float = Field(0.1, ge=0)
    """LAD: standard deviation of the initial weights of the label channel in the first convolution; 0.1 as published."""
    consistency: float = Field(5.0, ge=0)
    """LAD: weight of the dual-path consistency term."""
    consistency_from: float = Field(0.0, ge=0, le=1)
    """LAD: share of the teacher's training after which the consistency term is active, 0–1. The term flattens the maps of classes that are
    not learnt yet, so in runs of a few thousand steps a late start scores better."""

    @field_validator("source", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_teacher(self) -> "TeacherRecipe":
        if self.run is not None and self.source is not None:
            raise ValueError("run and source are two teachers; give one of them")
        return self
