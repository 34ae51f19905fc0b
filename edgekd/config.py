"""The recipe: a whole run as data. YAML in, strict models, one clear sentence out when something is wrong."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from edgekd_runtime.errors import UsageError

RECIPES = Path(__file__).parent / "recipes"
RECIPE_FILE = "recipe.yaml"
"""The resolved recipe in a run folder."""
SMALLEST = 32
"""Pixels on a side: what the deepest feature map of most backbones is a single pixel of."""


def _as_word(value: Any) -> Any:
    """A number where a word is wanted: YAML reads ``16`` as one, and a name or a folder may well be called so."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


class Strict(BaseModel):
    """Base of everything a YAML file may hold: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False, coerce_numbers_to_str=True)


Side = Annotated[int, Field(ge=SMALLEST)]


class DataRecipe(Strict):
    """Which images, and how they are cut for training.

    Attributes:
        layout: A key of `edgekd.data.LAYOUTS`.
        root: Its folder.
        options: Further keyword arguments of the layout.
        train, val: Names of the splits.
        size: Network input (H, W) for validation, export and latency.
        crop: Training crop (H, W); `size` where absent.
        scale: Range of the random scale.
        scale_step: From one of the scales that are drawn to the next, e.g. 0.1; None = any in the range.
        pad: Where a crop larger than the image is filled: ``sides``, all four alike with grey, or ``end``, right and bottom with
            ImageNet's mean colour, which normalises to 0, as in the papers' code.
        flip: Probability of a horizontal flip.
        color: Strength of brightness, contrast and saturation jitter, 0 = none.
        blur: Probability of a Gaussian blur, σ from 0.1 to 2 pixels.
        rare: Share of the crops that are drawn for a rare class instead of in turn: a sample that shows it, cut round one of its pixels.
        workers: Loader processes; None = one fewer than the cores, of several training processes their share.
    """

    layout: str
    root: str | None = None
    options: dict[str, Any] = {}
    train: str = "train"
    val: str = "val"
    size: tuple[Side, Side]
    crop: tuple[Side, Side] | None = None
    scale: tuple[PositiveFloat, PositiveFloat] = (0.5, 2.0)
    scale_step: PositiveFloat | None = None
    pad: Literal["sides", "end"] = "sides"
    flip: float = Field(0.5, ge=0, le=1)
    color: float = Field(0.0, ge=0, lt=1)
    blur: float = Field(0.0, ge=0, le=1)
    rare: float = Field(0.0, ge=0, le=1)
    workers: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> "DataRecipe":
        if self.scale[0] > self.scale[1]:
            raise ValueError("scale goes from the smaller to the larger")
        return self


class ModelRecipe(Strict):
    """A network: ``head-backbone``, a whole one by name, or one from elsewhere.

    Attributes:
        name: e.g. ``deeplabv3-resnet18``, whose backbone is any timm feature backbone; ``package.module:function``; ``hf:FOLDER_OR_ID``;
            of a teacher also a file ``.onnx``, ``.pt2`` or ``.pt`` (TorchScript).
        weights: ``timm`` = pretrained from timm's hub, a path = a local ImageNet checkpoint, None = from scratch. Of a function's network
            a path = a checkpoint of all of it.
        output_stride: 8, 16 or 32; None = the head's own, or the backbone's where that can't dilate.
        auxiliary: Add the auxiliary FCN head on stage 3.
        head_channels: Width of the head; None = the head's own.
        auxiliary_channels: Width of that head; a quarter of its stage in the papers, 64 for ResNet-18 and 256 for ResNet-101.
        dropout: Before the classifiers.
        dropout_of: What it leaves out: whole ``channels``, or single ``elements``, as the code of CIRKD, RDD and LAD does.
        projection_dropout: Element-wise dropout behind the projection of DeepLabV3's pyramid; 0.5 in that code.
        pixels: What `weights` were trained on: ``rgb`` normalised as timm says, or ``bgr`` from 0 to 255 less its mean, as some papers'
            checkpoints of ResNet; their first convolution is turned round, so the network reads RGB in either case.
        batch_norm: ``train``, or ``freeze`` to keep the statistics and affine parameters of the pretrained backbone.
        body: ``train``, or ``freeze`` to train the head alone: the pretrained body keeps its weights and statistics, without dropout.
        options: From elsewhere: arguments of the function or of ``from_pretrained``.
        logits: From elsewhere: key, attribute, position or ONNX tensor of the logits; None = a tensor itself, ``out``, ``logits`` or the
            first item.
        features: From elsewhere: dotted name of the module whose output the transfers read as features.
        classifier: From elsewhere: dotted name of the last 1×1 convolution; what enters it are the features.
        auxiliary_logits: From elsewhere: key of the auxiliary head's logits; None = ``aux``.
        mean, std: From elsewhere: normalisation of RGB in 0–1; None = what its files say, else ImageNet's.
        trust: From elsewhere: open a file that holds code (``.pt2``, TorchScript).
    """

    name: str
    weights: str | None = None
    output_stride: Literal[8, 16, 32] | None = None
    auxiliary: bool = True
    head_channels: int | None = Field(None, ge=8)
    auxiliary_channels: int = Field(64, ge=8)
    dropout: float = Field(0.1, ge=0, lt=1)
    dropout_of: Literal["channels", "elements"] = "channels"
    projection_dropout: float = Field(0.0, ge=0, lt=1)
    pixels: Literal["rgb", "bgr"] = "rgb"
    batch_norm: Literal["train", "freeze"] = "train"
    body: Literal["train", "freeze"] = "train"
    options: dict[str, Any] = {}
    logits: str | None = None
    features: str | None = None
    classifier: str | None = None
    auxiliary_logits: str | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    trust: bool = False


class TeacherRecipe(Strict):
    """How the teacher is made.

    Attributes:
        model: What `edgekd train --part teacher` trains; None = only `run` or `source` counts.
        run: A trained run folder or ``.safetensors`` file.
        source: A trained network from elsewhere, as a name or a whole model: e.g. ``hf:FOLDER`` or ``teacher.onnx``.
        classes: Student class → the teacher's class or classes, by name or number, null = none; None = both have the same classes.
            Several classes are joined by log-sum-exp; nothing is transferred for a class without any.
        scale: Factor by which the images are resized for the teacher.
        steps: Steps of its training; None = `train.steps`.
        window: While distilling, it looks at each crop through windows of this (H, W) whose outputs are averaged where they overlap, as a
            transformer does that was trained on small images; None = at the whole crop.
        label_assisted: The student's architecture with the label as a fourth channel (LAD), instead of `model`.
        label_weights: LAD: class weights while distilling; ``normal`` draws fresh N(0, 1), ``table`` spaces them evenly over [−1.1, 1].
        label_start: LAD: standard deviation of the label channel's weights in the first convolution before training; 0.1 as published.
        consistency: LAD: weight of the dual-path consistency term.
        consistency_from: LAD: share of its training after which that term counts. It pulls the maps of classes flat that are not learnt
            yet, so in runs of a few thousand steps a late start scores better.
    """

    model: ModelRecipe | None = None
    run: str | None = None
    source: ModelRecipe | None = None
    classes: dict[str, str | int | list[str | int] | None] | None = None
    scale: float = Field(1.0, gt=0, le=8)
    steps: int | None = Field(None, ge=1)
    window: tuple[Side, Side] | None = None
    label_assisted: bool = False
    label_weights: Literal["normal", "table"] = "normal"
    label_start: float = Field(0.1, ge=0)
    consistency: float = Field(5.0, ge=0)
    consistency_from: float = Field(0.0, ge=0, le=1)

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
    """The supervised loss and how its pixels are weighted.

    Attributes:
        weighting: ``plain``, ``ohem`` (only the pixels that are hard for the model itself), or ``difficulty`` (RDD).
        auxiliary: Weight of the auxiliary head's loss.
        class_weights: One weight a class, or computed from the training split's labels: ``median-frequency`` (also ``auto``) or
            ``effective-number``.
        class_weighting: RDD: ``both`` weighs the classes in TFE and TSE, whose means divide by the number of pixels; ``code`` in TSE
            alone, whose mean divides by the sum of the weights, as the public code has it.
        group: Images over which means are taken and RDD's hard pixels are found, as on one GPU in the papers; None = the whole batch,
            over all processes.
        dice: Weight of the dice loss of the main head; 0 = none.
        boundary: Weight of PIDNet's boundary loss, for a student with a boundary head; 1 as published.
        detail: Weight of STDC's detail guidance, a training-only head on the backbone's stride-8 level; 0 = none, 1 as published.
        warmup: RDD: share of the run that is teacher-full evaluated (TFE).
        difficulty_map: RDD: ``auxiliary`` compares the teacher's two heads; ``confidence`` is its own label probability.
        kl: RDD: direction of the TFE divergence; ``code`` is KL(aux‖main), ``paper`` KL(main‖aux).
        mode: RDD: which hard pixels count in TSE.
        threshold: RDD, OHEM: probability of its label at or below which a pixel is hard.
        min_kept: RDD, OHEM: pixels an image kept at least; ``paper`` fixes the threshold (0).
        reduction: RDD: ``kept`` averages over the kept pixels (code), ``all`` over all of them (paper).
        blend: RDD: after warm-up blend α·TFE + (1−α)·TSE, α falling linearly from 1 to 0.
    """

    weighting: Literal["plain", "ohem", "difficulty"] = "plain"
    auxiliary: float = Field(0.4, ge=0)
    class_weights: ClassWeights | None = None
    class_weighting: Literal["both", "code"] = "both"
    group: int | None = Field(None, ge=1)
    dice: float = Field(0.0, ge=0)
    boundary: float = Field(1.0, ge=0)
    detail: float = Field(0.0, ge=0)
    warmup: float = Field(0.1, ge=0, le=1)
    difficulty_map: Literal["auxiliary", "confidence"] = "auxiliary"
    kl: Literal["code", "paper"] = "code"
    mode: Literal["xor", "or", "and", "ohem"] = "xor"
    threshold: float = Field(0.7, ge=0, le=1)
    min_kept: int = Field(25_000, ge=0)
    reduction: Literal["kept", "all"] = "kept"
    blend: bool = False

    @model_validator(mode="after")
    def _some_class_counts(self) -> "TaskRecipe":
        if self.class_weights is not None and not any(self.class_weights):
            raise ValueError("class_weights are all 0, so no class would be learnt")
        return self


class TransferRecipe(BaseModel):
    """One transferred loss; further keys are the method's own options, checked against its signature.

    Attributes:
        method: A key of `edgekd.distill.registry.TRANSFERS`.
        name: Of this one in logs and checkpoints; None = the method, numbered where it is listed more than once.
        weight: Of the loss; None = the method's published weight.
    """

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)
    method: str
    name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9_-]*$")
    weight: float | None = Field(None, ge=0)

    @property
    def options(self) -> dict[str, Any]:
        """The method's own options."""
        return dict(self.model_extra or {})


class SpeedRecipe(Strict):
    """What makes a step quicker on a GPU and changes its numbers by rounding at most.

    Attributes:
        cudnn_benchmark: Let cuDNN time its algorithms for each shape once. Which is the fastest may differ from run to run, and with it the
            last bits: ``false`` for runs that are compared bit by bit.
        tf32: TF32 in convolutions and matrix products; None = PyTorch's default, convolutions only.
        fold_teacher: The frozen teacher's batch norm becomes part of its convolutions; None = on a GPU, for the project's own networks.
        bf16_teacher: The frozen teacher's weights are kept in bf16; None = as `fold_teacher`, if `precision` is ``bf16``.
        compile: What `torch.compile` compiles: ``none``, ``teacher``, ``student`` or ``both``; a minute or more at the start.
    """

    cudnn_benchmark: bool = True
    tf32: bool | None = None
    fold_teacher: bool | None = None
    bf16_teacher: bool | None = None
    compile: Literal["none", "teacher", "student", "both"] = "none"


class TrainRecipe(Strict):
    """The training loop.

    Attributes:
        steps: Optimiser steps.
        batch_size: Images a step, over all processes and accumulated parts.
        accumulate: Parts that a step's batch is split into.
        optimizer: ``sgd`` (momentum) or ``adamw``.
        lr: Learning rate of the backbone.
        head_lr: Its multiple for heads and projections.
        momentum, weight_decay: Of the optimiser.
        power: Of the poly schedule.
        warmup_steps: Of linear warm-up.
        clip_norm: Gradient norm limit; None = none.
        precision: ``32``, ``bf16`` or ``16`` (with a loss scaler).
        channels_last: Memory layout.
        ema: Decay of the averaged weights that are evaluated and kept as best, at step t at most (1 + t)/(10 + t); None = none.
        start: A trained run or ``.safetensors`` file whose weights training starts from.
        fake_quant: Quantisation-aware training with this many bits a weight, batch norm frozen; None = none.
        fake_quant_target: ``cpu`` or ``tensorrt``, whose form of INT8 the inputs are rounded as.
        seed: Of weights, order, augmentation and noise.
        val_every: Steps between validations; None = five in a run.
        save_minutes: Minutes after which the state is saved even if no validation came, which always saves it.
        log_every: Steps between log lines.
        log: Where the numbers go besides `metrics.jsonl`: ``tensorboard`` (files in the run folder), ``wandb`` or ``mlflow``.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        devices: Processes on this machine (torchrun's number is taken where it launched us).
        num_nodes: Machines.
        speed: What makes a step quicker on a GPU.
    """

    steps: int = Field(40_000, ge=1)
    batch_size: int = Field(16, ge=1)
    accumulate: int = Field(1, ge=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(0.02, gt=0)
    head_lr: float = Field(1.0, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    power: float = Field(0.9, gt=0)
    warmup_steps: int = Field(0, ge=0)
    clip_norm: float | None = Field(None, gt=0)
    precision: Annotated[Literal["32", "bf16", "16"], BeforeValidator(_as_word)] = "32"
    channels_last: bool = True
    ema: float | None = Field(None, gt=0, lt=1)
    start: str | None = None
    fake_quant: Literal[7, 8] | None = None
    fake_quant_target: Literal["cpu", "tensorrt"] = "cpu"
    seed: int = Field(0, ge=0, lt=1 << 32)
    val_every: int | None = Field(None, ge=1)
    save_minutes: float = Field(10.0, gt=0)
    log_every: int = Field(10, ge=1)
    log: Literal["tensorboard", "wandb", "mlflow"] = "tensorboard"
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(1, ge=1)
    num_nodes: int = Field(1, ge=1)
    speed: SpeedRecipe = SpeedRecipe()


TITLES = {"teacher": "teacher", "lad-teacher": "teacher, shown the label", "baseline": "student alone"}
"""Methods that train no student under a teacher."""


class Recipe(Strict):
    """A whole run.

    Attributes:
        name: What cards and reports call it.
        objective: What this run trains: a model alone, LAD's teacher, or a student under a teacher.
        method: The shorthand that the distillation came from, for cards and reports.
    """

    name: str
    objective: Literal["supervised", "label-assisted", "distillation"] = "distillation"
    method: str = "recipe"
    data: DataRecipe
    student: ModelRecipe
    teacher: TeacherRecipe = TeacherRecipe()
    task: TaskRecipe = TaskRecipe()
    transfer: list[TransferRecipe] = []
    train: TrainRecipe = TrainRecipe()

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


Model = TypeVar("Model", bound=BaseModel)


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the closest known word, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        UsageError: If the file is missing, no YAML, or no mapping.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"Can't read {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path} must hold keys and values, not a {type(document).__name__}.")
    return document


def validate(model: type[Model], document: dict[str, Any], source: str) -> Model:
    """Check a document against a model.

    Raises:
        UsageError: Naming the source, the key and the mend.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        fault = error.errors()[0]
        keys = _without_tags(fault["loc"], document)
        if fault["type"] == "extra_forbidden":
            hint = nearest(keys[-1], _fields_at(model, keys[:-1]))
            raise UsageError(f"{source}: unknown key {'.'.join(keys)!r}{hint}") from error
        message = fault["msg"].removeprefix("Value error, ")
        given = "" if fault["type"] == "missing" or isinstance(fault["input"], dict) else f", not {fault['input']!r}"
        raise UsageError(": ".join([source, *filter(None, [".".join(keys)]), f"{message[0].lower()}{message[1:]}{given}."])) from error


def _without_tags(location: tuple[int | str, ...], document: Any) -> list[str]:
    """The keys that a location has in the document; pydantic also names which form of a union it tried."""
    keys = []
    for part in location:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, (list, tuple)) and isinstance(part, int):
            document = document[part] if part < len(document) else None
        elif document is not None:
            continue
        keys.append(str(part))
    return keys


def _fields_at(model: type[BaseModel], keys: list[str]) -> list[str]:
    kind: Any = model
    for key in keys:
        if key.isdigit():
            continue
        annotation = kind.model_fields[key].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        kind = next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), model)
    return list(kind.model_fields)


def load_recipe(name: str | Path, overrides: Iterable[dict[str, Any]] = ()) -> Recipe:
    """Load a recipe by shipped name or path, its `extends` first, then the overrides in order.

    Raises:
        UsageError: If it can't be found or is wrong.
    """
    document = _read_extended(find_recipe(name), ())
    for override in overrides:
        document = merge(document, override)
    return validate(Recipe, document, str(name))


def find_recipe(name: str | Path) -> Path:
    """Path of a recipe: a file, a run folder (its ``recipe.yaml``), or the name of one that ships.

    Raises:
        UsageError: If there is none.
    """
    path = Path(name)
    for candidate in (path, path / RECIPE_FILE, RECIPES / f"{name}.yaml"):
        if candidate.is_file():
            return candidate
    shipped = shipped_recipes()
    own = ", ".join(each for each in shipped if "/" not in each)
    raise UsageError(
        f"No recipe {str(name)!r}{nearest(str(name), shipped)}; give a YAML file, one of {own}, or a row of `edgekd methods --table`."
    )


def shipped_recipes() -> list[str]:
    """Names of the recipes that ship; what lies in ``parts`` is only extended."""
    names = (file.relative_to(RECIPES).with_suffix("").as_posix() for file in RECIPES.rglob("*.yaml"))
    return sorted(name for name in names if not name.startswith("parts/"))


def _read_extended(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        raise UsageError(f"{path} extends itself; remove the circle.")
    document = read_yaml(path)
    base: dict[str, Any] = {}
    parents = document.pop("extends", [])
    for parent in [parents] if isinstance(parents, str) else parents:
        beside = path.parent / f"{parent}.yaml"
        base = merge(base, _read_extended(beside if beside.is_file() else find_recipe(parent), (*seen, path)))
    return merge(base, document)


def merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Override into a copy of base, mapping by mapping; lists, scalars and what is overridden by ``{}`` are replaced whole."""
    result = dict(base)
    for key, value in override.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) and value else value
    return result


def assignment(text: str, flag: str = "--set") -> dict[str, Any]:
    """``train.steps=100`` → ``{"train": {"steps": 100}}``; the value is YAML.

    Raises:
        UsageError: If there is no ``=`` or the value is no YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"{flag} takes key=value, e.g. train.steps=100, not {text!r}.")
    try:
        result: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"{flag} {text}: the value is not valid YAML.") from error
    for part in reversed(key.split(".")):
        result = {part: result}
    return result


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML, loadable again."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
