"""The recipe: a whole run as data, in strict models. `edgekd.loading` reads and writes them."""

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    Tag,
    field_validator,
    model_validator,
)

SMALLEST = 32
"""Pixels on a side: what the deepest feature map of most backbones is a single pixel of."""


def _as_word(value: Any) -> Any:
    """A number where a word is wanted: YAML reads ``16`` as one, and a name or a folder may well be called so."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class Strict(BaseModel):
    """Base of everything a YAML file may hold: unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", validate_default=True, allow_inf_nan=False, coerce_numbers_to_str=True, use_attribute_docstrings=True
    )


Side = Annotated[int, Field(ge=SMALLEST, le=1 << 14)]


class DataRecipe(Strict):
    """Which images, and how they are cut for training."""

    layout: str
    """A key of `edgekd.data.LAYOUTS`."""
    root: str | None = None
    """Its folder."""
    options: dict[str, Any] = {}
    """Further keyword arguments of the layout."""
    train: str = "train"
    """Names of the splits."""
    val: str = "val"
    """Names of the splits."""
    labelled: int | None = Field(None, ge=1)
    """Samples of the training split that are used, spread evenly over it; None = all."""
    labels: Literal["data", "teacher"] = "data"
    """Who made the layout's labels: ``data``, people; ``teacher``, that of a label-free run, so that scores are agreement with it."""
    unlabelled: list[str] = []
    """Folders, patterns such as ``frames/*.png``, and video files, whose images are distilled without labels."""
    unlabelled_share: float = Field(0.5, gt=0, le=1)
    """Share of each batch that the unlabelled images make up; 1 = no labels are read."""
    frame_step: int = Field(1, ge=1)
    """Every so many-th frame of a video is used."""
    frame_rate: PositiveFloat | None = None
    """Frames per second of a video that are used, by its own time stamps; None = by `frame_step`."""
    held_out: float = Field(0.0, ge=0, lt=1)
    """Share of each folder or video, at its end, that is not trained on."""
    size: tuple[Side, Side]
    """Network input (H, W) for validation, export and latency."""
    crop: tuple[Side, Side] | None = None
    """Training crop (H, W); `size` by default."""
    scale: tuple[PositiveFloat, PositiveFloat] = (0.5, 2.0)
    """Range of the random scale."""
    scale_step: PositiveFloat | None = None
    """From one of the scales that are drawn to the next, e.g. 0.1; None = any in the range."""
    pad: Literal["sides", "end"] = "sides"
    """Where a crop larger than the image is filled: ``sides``, all four alike with grey, or ``end``, right and bottom with ImageNet's mean
    colour, which normalises to 0, as in the papers' code."""
    flip: float = Field(0.5, ge=0, le=1)
    """Probability of a horizontal flip."""
    color: float = Field(0.0, ge=0, lt=1)
    """Strength of brightness, contrast and saturation jitter, 0 = none."""
    blur: float = Field(0.0, ge=0, le=1)
    """Probability of a Gaussian blur, σ from 0.1 to 2 pixels."""
    rare: float = Field(0.0, ge=0, le=1)
    """Share of the crops that are drawn for a rare class instead of in turn: a sample that shows it, cut round one of its pixels."""
    workers: int | None = Field(None, ge=0)
    """Loader processes; None = one fewer than the cores, of several training processes their share."""

    @model_validator(mode="after")
    def _ordered(self) -> "DataRecipe":
        if self.scale[0] > self.scale[1]:
            raise ValueError("scale goes from the smaller to the larger")
        if self.frame_rate is not None and self.frame_step > 1:
            raise ValueError("frame_step and frame_rate both choose the frames of a video; give one of them")
        return self

    @field_validator("unlabelled", mode="before")
    @classmethod
    def _one_source(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @property
    def share(self) -> Fraction:
        """`unlabelled_share` as whole numbers, so that positions are counted exactly."""
        return Fraction(self.unlabelled_share).limit_denominator(1000)


class ModelRecipe(Strict):
    """A network: ``head-backbone``, a whole one by name, or one from elsewhere."""

    name: str
    """e.g. ``deeplabv3-resnet18``, whose backbone is any timm feature backbone; ``package.module:function``; ``hf:FOLDER_OR_ID``; of a
    teacher also a file ``.onnx``, ``.pt2`` or ``.pt`` (TorchScript)."""
    weights: str | None = None
    """``timm`` = pretrained from timm's hub, a path = a local ImageNet checkpoint, None = from scratch. Of a function's network a path = a
    checkpoint of all of it."""
    output_stride: Literal[8, 16, 32] | None = None
    """8, 16 or 32; None = the head's own, or the backbone's where that can't dilate."""
    auxiliary: bool = True
    """Add the auxiliary FCN head on stage 3."""
    head_channels: int | None = Field(None, ge=8)
    """Width of the head; None = the head's own."""
    auxiliary_channels: int = Field(64, ge=8)
    """Width of that head; a quarter of its stage in the papers, 64 for ResNet-18 and 256 for ResNet-101."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Before the classifiers."""
    dropout_of: Literal["channels", "elements"] = "channels"
    """What it leaves out: whole ``channels``, or single ``elements``, as the code of CIRKD, RDD and LAD does."""
    projection_dropout: float = Field(0.0, ge=0, lt=1)
    """Element-wise dropout behind the projection of DeepLabV3's pyramid; 0.5 in that code."""
    pixels: Literal["rgb", "bgr"] = "rgb"
    """What `weights` were trained on: ``rgb`` normalised as timm says, or ``bgr`` from 0 to 255 less its mean, as some papers' checkpoints
    of ResNet; their first convolution is turned round, so the network reads RGB in either case."""
    batch_norm: Literal["train", "freeze"] = "train"
    """``train``, or ``freeze`` to keep the statistics and affine parameters of the pretrained backbone."""
    body: Literal["train", "freeze"] = "train"
    """``train``, or ``freeze`` to train the head alone: the pretrained body keeps its weights and statistics, without dropout."""
    options: dict[str, Any] = {}
    """From elsewhere: arguments of the function or of ``from_pretrained``."""
    logits: str | None = None
    """From elsewhere: key, attribute, position or ONNX tensor of the logits; None = a tensor itself, ``out``, ``logits`` or the first
    item."""
    features: str | None = None
    """From elsewhere: dotted name of the module whose output the transfers read as features."""
    classifier: str | None = None
    """From elsewhere: dotted name of the last 1×1 convolution; what enters it are the features."""
    auxiliary_logits: str | None = None
    """From elsewhere: key of the auxiliary head's logits; None = ``aux``."""
    mean: tuple[float, float, float] | None = None
    """From elsewhere: normalisation of RGB in 0–1; None = what its files say, else ImageNet's."""
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    """From elsewhere: normalisation of RGB in 0–1; None = what its files say, else ImageNet's."""
    trust: bool = False
    """From elsewhere: open a file that holds code (``.pt2``, TorchScript)."""


class TeacherRecipe(Strict):
    """How the teacher is made."""

    model: ModelRecipe | None = None
    """What `edgekd train --part teacher` trains; None = only `run` or `source` counts."""
    run: str | None = None
    """A trained run folder or ``.safetensors`` file."""
    source: ModelRecipe | None = None
    """A trained network from elsewhere, as a name or a whole model: e.g. ``hf:FOLDER`` or ``teacher.onnx``."""
    classes: dict[str, str | int | list[str | int] | None] | None = None
    """Student class → the teacher's class or classes, by name or number, null = none; None = both have the same classes. Several classes
    are joined by log-sum-exp; nothing is transferred for a class without any."""
    scale: float = Field(1.0, gt=0, le=8)
    """Factor by which the images are resized for the teacher."""
    steps: int | None = Field(None, ge=1)
    """Steps of its training; None = `train.steps`."""
    window: tuple[Side, Side] | None = None
    """While distilling, it looks at each crop through windows of this (H, W) whose outputs are averaged where they overlap, as a
    transformer does that was trained on small images; None = at the whole crop."""
    confidence: float = Field(0.9, ge=0, le=1)
    """Unlabelled images: probability at and above which the teacher's class stands for the label that a loss reads; other pixels are
    ignored there. High, since a wrong label is learnt and a missing one costs little."""
    label_assisted: bool = False
    """The student's architecture with the label as a fourth channel (LAD), instead of `model`."""
    label_weights: Literal["normal", "table"] = "normal"
    """LAD: class weights while distilling; ``normal`` draws fresh N(0, 1), ``table`` spaces them evenly over [−1.1, 1]."""
    label_start: float = Field(0.1, ge=0)
    """LAD: standard deviation of the label channel's weights in the first convolution before training; 0.1 as published."""
    consistency: float = Field(5.0, ge=0)
    """LAD: weight of the dual-path consistency term."""
    consistency_from: float = Field(0.0, ge=0, le=1)
    """LAD: share of its training after which that term counts. It pulls the maps of classes flat that are not learnt yet, so in runs of a
    few thousand steps a late start scores better."""

    @field_validator("source", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_teacher(self) -> "TeacherRecipe":
        if self.run is not None and self.source is not None:
            raise ValueError("run and source are two teachers; give one of them")
        return self


ClassWeights = Annotated[
    Annotated[list[NonNegativeFloat], Tag("list")] | Annotated[Literal["auto", "median-frequency", "effective-number"], Tag("name")],
    Discriminator(lambda given: "list" if isinstance(given, (list, tuple)) else "name"),
]


class TaskRecipe(Strict):
    """The supervised loss and how its pixels are weighted."""

    weighting: Literal["plain", "ohem", "difficulty"] = "plain"
    """``plain``, ``ohem`` (only the pixels that are hard for the model itself), or ``difficulty`` (RDD)."""
    auxiliary: float = Field(0.4, ge=0)
    """Weight of the auxiliary head's loss."""
    class_weights: ClassWeights | None = None
    """One weight a class, or computed from the training split's labels: ``median-frequency`` (also ``auto``) or ``effective-number``."""
    class_weighting: Literal["both", "code"] = "both"
    """RDD: ``both`` weighs the classes in TFE and TSE, whose means divide by the number of pixels; ``code`` in TSE alone, whose mean
    divides by the sum of the weights, as the public code has it."""
    group: int | None = Field(None, ge=1)
    """Images over which means are taken and RDD's hard pixels are found, as on one GPU in the papers; None = the whole batch, over all
    processes."""
    dice: float = Field(0.0, ge=0)
    """Weight of the dice loss of the main head; 0 = none."""
    boundary: float = Field(1.0, ge=0)
    """Weight of PIDNet's boundary loss, for a student with a boundary head; 1 as published."""
    pseudo: float = Field(0.0, ge=0)
    """Weight of the cross entropy on unlabelled images, whose labels are the teacher's classes where it is confident; 0 = none."""
    detail: float = Field(0.0, ge=0)
    """Weight of STDC's detail guidance, a training-only head on the backbone's stride-8 level; 0 = none, 1 as published."""
    warmup: float = Field(0.1, ge=0, le=1)
    """RDD: share of the run that is teacher-full evaluated (TFE)."""
    difficulty_map: Literal["auxiliary", "confidence"] = "auxiliary"
    """RDD: ``auxiliary`` compares the teacher's two heads; ``confidence`` is its own label probability."""
    kl: Literal["code", "paper"] = "code"
    """RDD: direction of the TFE divergence; ``code`` is KL(aux‖main), ``paper`` KL(main‖aux)."""
    mode: Literal["xor", "or", "and", "ohem"] = "xor"
    """RDD: which hard pixels count in TSE."""
    threshold: float = Field(0.7, ge=0, le=1)
    """RDD, OHEM: probability of its label at or below which a pixel is hard."""
    min_kept: int = Field(25_000, ge=0)
    """RDD, OHEM: pixels an image kept at least; ``paper`` fixes the threshold (0)."""
    reduction: Literal["kept", "all"] = "kept"
    """RDD: ``kept`` averages over the kept pixels (code), ``all`` over all of them (paper)."""
    blend: bool = False
    """RDD: after warm-up blend α·TFE + (1−α)·TSE, α falling linearly from 1 to 0."""

    @model_validator(mode="after")
    def _some_class_counts(self) -> "TaskRecipe":
        if self.class_weights is not None and not any(self.class_weights):
            raise ValueError("class_weights are all 0, so no class would be learnt")
        return self


class TransferRecipe(BaseModel):
    """One transferred loss; further keys are the method's own options, checked against its signature."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, use_attribute_docstrings=True)
    method: str
    """A key of `edgekd.distill.registry.TRANSFERS`."""
    name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    """Of this one in logs and checkpoints; None = the method, numbered where it is listed more than once."""
    weight: float | None = Field(None, ge=0)
    """Of the loss; None = the method's published weight."""

    @property
    def options(self) -> dict[str, Any]:
        """The method's own options."""
        return dict(self.model_extra or {})


class SpeedRecipe(Strict):
    """What makes a step quicker on a GPU and changes its numbers by rounding at most."""

    cudnn_benchmark: bool = True
    """Let cuDNN time its algorithms for each shape once. Which is the fastest may differ from run to run, and with it the last bits:
    ``false`` for runs that are compared bit by bit."""
    tf32: bool | None = None
    """TF32 in convolutions and matrix products; None = PyTorch's default, convolutions only."""
    fold_teacher: bool | None = None
    """The frozen teacher's batch norm becomes part of its convolutions; None = on a GPU, for the project's own networks."""
    bf16_teacher: bool | None = None
    """The frozen teacher's weights are kept in bf16; None = as `fold_teacher`, if `precision` is ``bf16``."""
    compile: Literal["none", "teacher", "student", "both"] = "none"
    """What `torch.compile` compiles: ``none``, ``teacher``, ``student`` or ``both``; a minute or more at the start."""


class TrainRecipe(Strict):
    """The training loop."""

    steps: int = Field(40_000, ge=1)
    """Optimiser steps."""
    batch_size: int = Field(16, ge=1)
    """Images a step, over all processes and accumulated parts."""
    accumulate: int = Field(1, ge=1)
    """Parts that a step's batch is split into."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """``sgd`` (momentum) or ``adamw``."""
    lr: float = Field(0.02, gt=0)
    """Learning rate of the backbone."""
    head_lr: float = Field(1.0, gt=0)
    """Its multiple for heads and projections."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Of the optimiser."""
    weight_decay: float = Field(1e-4, ge=0)
    """Of the optimiser."""
    power: float = Field(0.9, gt=0)
    """Of the poly schedule."""
    warmup_steps: int = Field(0, ge=0)
    """Of linear warm-up."""
    clip_norm: float | None = Field(None, gt=0)
    """Gradient norm limit; None = none."""
    precision: Annotated[Literal["32", "bf16", "16"], BeforeValidator(_as_word)] = "32"
    """``32``, ``bf16`` or ``16`` (with a loss scaler)."""
    channels_last: bool = True
    """Memory layout."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of the averaged weights that are evaluated and kept as best, at step t at most (1 + t)/(10 + t); None = none."""
    start: str | None = None
    """A trained run or ``.safetensors`` file whose weights training starts from."""
    fake_quant: Literal[7, 8] | None = None
    """Quantisation-aware training with this many bits a weight, batch norm frozen; None = none."""
    fake_quant_target: Literal["cpu", "tensorrt"] = "cpu"
    """``cpu`` or ``tensorrt``, whose form of INT8 the inputs are rounded as."""
    seed: int = Field(0, ge=0, lt=1 << 32)
    """Of weights, order, augmentation and noise."""
    val_every: int | None = Field(None, ge=1)
    """Steps between validations; None = five in a run."""
    save_minutes: float = Field(10.0, gt=0)
    """Minutes after which the state is saved even if no validation came, which always saves it."""
    log_every: int = Field(10, ge=1)
    """Steps between log lines."""
    log: Literal["tensorboard", "wandb", "mlflow"] = "tensorboard"
    """Where the numbers go besides `metrics.jsonl`: ``tensorboard`` (files in the run folder), ``wandb`` or ``mlflow``."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto``, ``cpu`` or ``cuda``."""
    devices: int = Field(1, ge=1)
    """Processes on this machine (torchrun's number is taken where it launched us)."""
    num_nodes: int = Field(1, ge=1)
    """Machines."""
    speed: SpeedRecipe = SpeedRecipe()
    """What makes a step quicker on a GPU."""


TITLES = {"teacher": "teacher", "lad-teacher": "teacher, shown the label", "baseline": "student alone"}
"""Methods that train no student under a teacher."""


class Recipe(Strict):
    """A whole run."""

    name: str = Field(pattern=r"^[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,199}$")
    """What cards and reports call it."""
    objective: Literal["supervised", "label-assisted", "distillation"] = "distillation"
    """What this run trains: a model alone, LAD's teacher, or a student under a teacher."""
    method: str = "recipe"
    """The shorthand that the distillation came from, for cards and reports."""
    data: DataRecipe
    """Which images."""
    student: ModelRecipe
    """What is trained."""
    teacher: TeacherRecipe = TeacherRecipe()
    """How the teacher is made."""
    task: TaskRecipe = TaskRecipe()
    """The supervised loss."""
    transfer: list[TransferRecipe] = []
    """What is transferred: a list, each with its `method`, `weight` and the method's own options."""
    train: TrainRecipe = TrainRecipe()
    """The loop."""

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
