"""The deployed model: `model.onnx` (or `model.engine`) with `model.json` beside it that says everything a device must know."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypedDict

from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.external import external_files
from edgekd_runtime.files import read_json, sha256, write_json
from edgekd_runtime.streams import require_utf8
from edgekd_runtime.typed import NAN, Facts, Matches, Within, typed

SCHEMA_VERSION = 1
SIDECAR = "model.json"
"""The file beside a model that says what it is."""
AGREEMENT = "agreement with the teacher"
"""Mean IoU where the labels are the teacher's class maps."""
MODEL_FILES = ("model.onnx", "model.engine")
CPU, TENSORRT = "cpu", "tensorrt"
"""What a file can be made for, where its form differs: INT8 is written in one for CPUs and in one for TensorRT."""
ENGINE_SOURCE = "-trt-source"
"""How a folder's name ends that holds what an engine is built from, where the precision's own folder holds another form."""
MOST_PIXELS = 1 << 26
"""Of a network's input: more than any camera has."""
Side = Annotated[int, Within(1, 1 << 15)]
Digest = Annotated[str, Matches("[0-9A-Za-z]*", "a digest of letters and digits")]
Figure = Annotated[float, NAN]


class DataFacts(TypedDict):
    """What `Artifact.data` holds."""

    layout: str
    split: str
    root: str | None
    options: dict[str, Any]


class ParityFacts(TypedDict, total=False):
    """What is read of `Artifact.parity`."""

    pixel_agreement: Figure | None


class ReductionFacts(TypedDict, total=False):
    """What is read of `Artifact.reduction`."""

    miou: Figure
    agreement_with_teacher: Figure
    images: int
    kept: dict[str, Any]
    weight_bits: int


class OptionFacts(TypedDict):
    """What is read of the options in `Artifact.engine`."""

    version_compatible: bool
    hardware_compatible: bool


class Built(TypedDict):
    """What `Artifact.engine` has to hold."""

    family: str
    version: str
    gpu: dict[str, Any]
    options: OptionFacts


class EngineFacts(Built, total=False):
    """What is read of `Artifact.engine`."""

    built_from: str
    layers: dict[str, int]
    notes: list[str]


@dataclass(frozen=True)
class Artifact:
    """Sidecar of a deployed model. The image enters as uint8 1×H×W×3; normalisation is in the graph.

    Attributes:
        name: What reports call it, e.g. ``student fp32``.
        model: Architecture, e.g. ``lraspp-mobilenetv3_large_100``.
        method: How it was trained, e.g. ``cwd`` or ``baseline``.
        size: Network input (H, W) in pixels.
        output: ``classes`` (uint8 1×H×W) or ``logits`` (float32 1×C×H×W).
        precision: ``fp32``, ``fp16``, ``bf16``, ``int8``, or ``int8-fp16``: INT8 layers, the rest in FP16.
        target: What an INT8 file is made for, `CPU` or `TENSORRT`; empty where one file serves all.
        classes: Names and palette.
        mean, std: Normalisation inside the graph, for images in 0–1, RGB.
        channel_order: Of the input.
        opset: ONNX opset.
        sha256: Of the model file.
        source_sha256: Of the checkpoint that it was exported from.
        data: Layout, root and split that accuracy is measured on; ``labels`` says whose they are, ``data`` (people's) or ``teacher``.
        parity: Agreement with PyTorch on real images.
        reduction: Of a lower precision: its mIoU beside FP32's, which layers stayed in FP32 and why, how INT8 was calibrated.
        engine: Of an engine: the TensorRT family and version, GPU and options that it was built with.
        versions: Of the tools that made it.
    """

    name: str
    model: str
    method: str
    size: tuple[Side, Side]
    output: Annotated[str, Matches("classes|logits", "classes or logits")]
    precision: str
    classes: ClassSet
    mean: tuple[float, ...]
    std: tuple[float, ...]
    opset: int
    sha256: Digest
    source_sha256: str
    channel_order: str = "RGB"
    target: Annotated[str, Matches(f"|{CPU}|{TENSORRT}", f"{CPU}, {TENSORRT} or empty")] = ""
    data: Annotated[dict[str, Any], Facts(DataFacts)] = field(default_factory=dict)
    parity: Annotated[dict[str, Any], Facts(ParityFacts)] = field(default_factory=dict)
    reduction: Annotated[dict[str, Any], Facts(ReductionFacts)] = field(default_factory=dict)
    engine: Annotated[dict[str, Any], Facts(EngineFacts)] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size[0] * self.size[1] > MOST_PIXELS:
            raise UsageError(f"A network input of {self.size[0]}x{self.size[1]} has more than {MOST_PIXELS:,} pixels.")
        if self.precision.startswith("int8") and not self.target:  # the one form there was before sidecars said it
            object.__setattr__(self, "target", TENSORRT)

    @property
    def score_name(self) -> str:
        """What its accuracy is: mIoU of labels, or agreement with the teacher that made them."""
        return score_name(self.data)

    @property
    def score_key(self) -> str:
        """Its accuracy's key in JSON documents."""
        return score_key(self.score_name)

    @property
    def written_score(self) -> float | None:
        """Of a lower precision: what it scored when it was written, in 0–1; None where that is not known."""
        return self.reduction.get(self.score_key, self.reduction.get("miou"))

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dictionary."""
        return asdict(self)

    def save(self, folder: Path) -> None:
        """Write ``model.json``."""
        write_json(folder / SIDECAR, {"schema_version": SCHEMA_VERSION, **self.to_json()})

    @staticmethod
    def load(folder: Path) -> "Artifact":
        """Read ``model.json``.

        Raises:
            EdgeKDError: If it is missing, of another schema, or a field is missing or wrong.
        """
        path = folder / SIDECAR
        if not path.is_file():
            raise EdgeKDError(f"No {path}; a file of somebody else becomes a model of this project with `edgekd adopt NET.ONNX`.")
        document = read_json(path)
        if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
            raise EdgeKDError(f"{path} is not a sidecar of schema {SCHEMA_VERSION}; run `edgekd export` again.")
        return typed(Artifact, document, str(path), "run `edgekd export` again")


def score_name(data: dict[str, Any]) -> str:
    """What the mean IoU on the data of a sidecar is called."""
    return AGREEMENT if data.get("labels") == "teacher" else "mIoU"


def score_key(name: str) -> str:
    """Key in JSON documents of a mean IoU that is called so: ``miou``, or ``agreement_with_teacher``."""
    return "agreement_with_teacher" if name == AGREEMENT else "miou"


def find_models(path: str | Path) -> list[Path]:
    """Model files at or below `path`: the file itself, or every ``model.onnx`` and ``model.engine`` in the folder, sorted.

    Hidden folders are left out: an export that was killed may lie there unfinished.

    Raises:
        EdgeKDError: If there is none.
        UsageError: If the name of one is not UTF-8.
    """
    path = Path(path)
    if path.is_file():
        require_utf8([str(path)])
        return [path]
    below = (file for name in MODEL_FILES for file in path.rglob(name) if file.is_file())
    found = sorted(file for file in below if not any(part.startswith(".") for part in file.relative_to(path).parts))
    require_utf8([str(file) for file in found])
    if not found:
        raise EdgeKDError(f"No exported model at {path}; make one with `edgekd export RUN`.")
    return found


def only_model(path: str | Path) -> Path:
    """The one model file at or below `path`.

    Raises:
        EdgeKDError: If there is none.
        UsageError: If there are several.
    """
    files = find_models(path)
    if len(files) > 1:
        raise UsageError(f"{path} holds {len(files)} models; name one of them, e.g. {files[0]}.")
    return files[0]


def load_artifact(model_file: Path) -> Artifact:
    """The sidecar of `model_file`, after checking that the file is the one it describes, and that nothing beside it belongs to it.

    Raises:
        EdgeKDError: If the sidecar is missing, the file's hash differs, or it keeps weights in files that no hash covers.
    """
    artifact = Artifact.load(model_file.parent)
    if sha256(model_file) != artifact.sha256:
        raise EdgeKDError(f"{model_file} is not the file that {model_file.parent / SIDECAR} describes; run `edgekd export` again.")
    if others := external_files(model_file) if model_file.suffix == ".onnx" else []:
        raise EdgeKDError(
            f"{model_file} keeps weights in another file, {others[0]!a}, which the hash in its sidecar does not cover; "
            "write it whole: `edgekd adopt NET.ONNX` does."
        )
    return artifact
