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
"""Smallest image side in pixels: at output stride 32 the deepest feature map is then a single pixel."""


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
    """Data set, splits and augmentation."""

    layout: str
    """Layout of the data set on disk, as `edgekd data layouts` lists them."""
    root: str | None = None
    """Folder of the data set."""
    options: dict[str, Any] = {}
    """Options of the layout, as its documentation names them."""
    train: str = "train"
    """Name of the split that is trained on."""
    val: str = "val"
    """Name of the split that is validated on."""
    labelled: int | None = Field(None, ge=1)
    """Number of labelled training samples to use, spread evenly over the split; None = all."""
    labels: Literal["data", "teacher"] = "data"
    """Where the labels come from: ``data``, human annotation; ``teacher``, the teacher's predictions in a label-free run, so that
    scores are agreement with the teacher."""
    unlabelled: list[str] = []
    """Folders, patterns such as ``frames/*.png`` and video files whose images are used for distillation without labels."""
    unlabelled_share: float = Field(0.5, gt=0, le=1)
    """Share of unlabelled images in each batch, 0–1; 1 = no labels are read."""
    frame_step: int = Field(1, ge=1)
    """Use every N-th frame of a video."""
    frame_rate: PositiveFloat | None = None
    """Frames to use per second of video, by its time stamps; None = use `frame_step`."""
    held_out: float = Field(0.0, ge=0, lt=1)
    """Share at the end of each folder or video that is kept out of training, 0–1."""
    size: tuple[Side, Side]
    """Network input (H, W) in pixels for validation, export and latency."""
    crop: tuple[Side, Side] | None = None
    """Training crop (H, W) in pixels; None = `size`."""
    scale: tuple[PositiveFloat, PositiveFloat] = (0.5, 2.0)
    """Range of the random scale factor in training."""
    scale_step: PositiveFloat | None = None
    """Step between the scale factors to draw from, e.g. 0.1; None = any factor in the range."""
    pad: Literal["sides", "end"] = "sides"
    """Padding of an image that is smaller than the crop: ``sides``, grey on all four sides, or ``end``, ImageNet's mean colour (0 after
    normalisation) at the right and bottom, as in the papers' code."""
    flip: float = Field(0.5, ge=0, le=1)
    """Probability of a horizontal flip."""
    color: float = Field(0.0, ge=0, lt=1)
    """Strength of brightness, contrast and saturation jitter, 0–1; 0 = none."""
    blur: float = Field(0.0, ge=0, le=1)
    """Probability of a Gaussian blur, σ from 0.1 to 2 pixels."""
    rare: float = Field(0.0, ge=0, le=1)
    """Share of crops that are drawn for a rare class: an image that contains it, cropped around one of its pixels; 0 = none."""
    workers: int | None = Field(None, ge=0)
    """Data-loading processes per training process; None = one fewer than the CPU cores, divided among the training processes."""

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


class SpeedRecipe(Strict):
    """GPU optimisations of a training step; results change by rounding at most."""

    cudnn_benchmark: bool = True
    """Let cuDNN benchmark its algorithms for each shape. The choice may differ from run to run, and with it the last bits of the results;
    ``false`` for bitwise reproducible runs."""
    tf32: bool | None = None
    """Use TF32 in convolutions and matrix products; None = PyTorch's default, convolutions only."""
    fold_teacher: bool | None = None
    """Fold the frozen teacher's batch norm into its convolutions; None = on a GPU, for this project's networks."""
    bf16_teacher: bool | None = None
    """Keep the frozen teacher's weights in bf16; None = as `fold_teacher` if `precision` is ``bf16``."""
    compile: Literal["none", "teacher", "student", "both"] = "none"
    """Networks to compile with `torch.compile`: ``none``, ``teacher``, ``student`` or ``both``; takes a minute or more at the start."""


class TrainRecipe(Strict):
    """The training loop."""

    steps: int = Field(40_000, ge=1)
    """Optimiser steps."""
    batch_size: int = Field(16, ge=1)
    """Images per optimiser step, over all processes and accumulated parts."""
    accumulate: int = Field(1, ge=1)
    """Gradient accumulation: number of parts that the batch of a step is split into."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """Optimiser: ``sgd`` (with momentum) or ``adamw``."""
    lr: float = Field(0.02, gt=0)
    """Learning rate of the backbone."""
    head_lr: float = Field(1.0, gt=0)
    """Learning rate of heads and projections, as a multiple of `lr`."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD."""
    weight_decay: float = Field(1e-4, ge=0)
    """Weight decay of the optimiser."""
    power: float = Field(0.9, gt=0)
    """Exponent of the polynomial learning-rate schedule."""
    warmup_steps: int = Field(0, ge=0)
    """Steps of linear learning-rate warm-up."""
    clip_norm: float | None = Field(None, gt=0)
    """Largest gradient norm, larger ones are clipped; None = no clipping."""
    precision: Annotated[Literal["32", "bf16", "16"], BeforeValidator(_as_word)] = "32"
    """Training precision: ``32``, ``bf16`` or ``16`` (with a loss scaler)."""
    channels_last: bool = True
    """Use the channels-last memory format."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of the exponential moving average of the weights, which is then validated and kept as best; at step t at most (1 + t)/(10 + t).
    None = no average."""
    start: str | None = None
    """Run folder or ``.safetensors`` file with the weights that training starts from."""
    fake_quant: Literal[7, 8] | None = None
    """Quantisation-aware training with 7 or 8 bits per weight and frozen batch norm; None = none."""
    fake_quant_target: Literal["cpu", "tensorrt"] = "cpu"
    """Form of INT8 that quantisation-aware training simulates: ``cpu`` or ``tensorrt``."""
    seed: int = Field(0, ge=0, lt=1 << 32)
    """Random seed for initial weights, data order, augmentation and noise."""
    val_every: int | None = Field(None, ge=1)
    """Steps between validations; None = five validations per run."""
    save_minutes: float = Field(10.0, gt=0)
    """Minutes between saves of the training state; each validation saves it too."""
    log_every: int = Field(10, ge=1)
    """Steps between log lines."""
    log: Literal["tensorboard", "wandb", "mlflow"] = "tensorboard"
    """Tracker that records losses and scores besides `metrics.jsonl`: ``tensorboard`` (files in the run folder), ``wandb`` or
    ``mlflow``."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """Hardware to train on: ``auto``, ``cpu`` or ``cuda``."""
    devices: int = Field(1, ge=1)
    """Training processes on this machine; under torchrun, torchrun's number."""
    num_nodes: int = Field(1, ge=1)
    """Number of machines."""
    speed: SpeedRecipe = SpeedRecipe()
    """GPU optimisations of a training step."""


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
