"""Where networks come from besides this project. `SOURCES` is the list: to add one, write its file and a line here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgekd.config import ModelRecipe
from edgekd.models.network import Network
from edgekd.runs import Run
from edgekd_runtime.plugins import is_reference, load_own


@dataclass(frozen=True)
class Source:
    """One kind of origin.

    Attributes:
        title: What it is, for lists and messages.
        example: A name of this kind.
        matches: Whether a name is of this kind.
        builder: ``package.module:function`` of (recipe, number of classes or None, input channels, whether to fetch weights) → network.
        trainable: Whether a student may come from it; else teachers only.
    """

    title: str
    example: str
    matches: Callable[[str], bool]
    builder: str
    trainable: bool = True

    def build(self, recipe: ModelRecipe, num_classes: int | None, in_channels: int, pretrained: bool) -> Network:
        """The network that a recipe names."""
        network: Network = load_own(self.builder)(recipe, num_classes, in_channels, pretrained)
        network.trainable = self.trainable
        return network


def _ends(*suffixes: str) -> Callable[[str], bool]:
    return lambda name: name.endswith(suffixes)


SOURCES = (
    Source(
        "HuggingFace folder or id",
        "hf:nvidia/segformer-b0-finetuned-ade-512-512",
        lambda name: name.startswith("hf:"),
        "edgekd.models.sources.huggingface:build",
    ),
    Source("ONNX file", "teacher.onnx", _ends(".onnx"), "edgekd.models.sources.onnx_file:build", trainable=False),
    Source("torch.export file", "teacher.pt2", _ends(".pt2"), "edgekd.models.sources.program:build_exported", trainable=False),
    Source(
        "TorchScript file", "teacher.pt", _ends(".pt", ".ts", ".torchscript"), "edgekd.models.sources.program:build_script", trainable=False
    ),
    Source(
        "function or class that can be imported",
        "torchvision.models.segmentation:deeplabv3_resnet101",
        is_reference,
        "edgekd.models.sources.function:build",
    ),
)


def folder_source(path: str) -> str:
    """A folder in HuggingFace's form by its source's name; any other name as it is."""
    folder = Path(path)
    return f"hf:{path}" if (folder / "config.json").is_file() and not Run(folder).recipe_file.is_file() else path


def source_of(name: str) -> Source | None:
    """The kind of a name; None if it is one of this project's own."""
    return next((source for source in SOURCES if source.matches(name)), None)
