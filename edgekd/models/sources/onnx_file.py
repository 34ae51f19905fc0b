"""An ONNX file as a teacher, through ONNX Runtime: somebody else's (float B×3×H×W in), or one that this project exported."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekd.config import ModelRecipe
from edgekd.models.fixed import FixedInput
from edgekd.models.foreign import ForeignNetwork
from edgekd_calib.graph import load_graph, scores_tensor, with_outputs
from edgekd_runtime.artifact import SIDECAR, Artifact
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.files import sha256

LARGEST = (1 << 31) - 1
"""Bytes of a model that can be handed over in memory."""


def build(recipe: ModelRecipe, num_classes: int | None, in_channels: int, pretrained: bool) -> ForeignNetwork:
    """Open the file; of an exported one the scores before the class map are read.

    Raises:
        UsageError: If its input is no batch of images, or it should be shown the label.
        EdgeKDError: If it is missing, damaged, or ONNX Runtime refuses it.
    """
    path = Path(recipe.name)
    if recipe.features or recipe.classifier:
        raise UsageError(f"{path} gives its logits only; leave features and classifier out.")
    if in_channels != 3:
        raise UsageError(f"{path} can't take the label as input; use another network for a label-assisted teacher.")
    call = OnnxCall(path, recipe.logits)
    if call.takes_bytes:  # normalisation is in the graph, so the network's own is none
        recipe = recipe.model_copy(update={"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)})
    shown = recipe.model_copy(update={"logits": None})
    return ForeignNetwork(shown, FixedInput(call, call.batch, call.size), num_classes, class_names=_class_names(path))


def _class_names(path: Path) -> tuple[str, ...] | None:
    """Of the sidecar beside the file, if that is of this file and not of another in the folder."""
    if not path.with_name(SIDECAR).is_file():
        return None
    about = Artifact.load(path.parent)
    return about.classes.names if about.sha256 == sha256(path) else None


class OnnxCall:
    """A session as a function of tensors.

    Args:
        path: The file.
        output: Name of the tensor that holds the logits; None = the scores before a class map, or the first output.

    Attributes:
        takes_bytes: Its input is uint8 B×H×W×3, and normalisation is in the graph.
        batch: Images at once; None = any number.
        size: (H, W); None = any.

    Raises:
        MissingError: If ONNX Runtime is not installed.
        EdgeKDError: If the file is missing or damaged.
        UsageError: If it takes no images, or has no such output.
    """

    def __init__(self, path: Path, output: str | None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingError("An ONNX teacher needs ONNX Runtime: pip install 'edgekd[cpu]' (or [gpu]).") from error
        model = load_graph(path)
        tensors = {name for node in model.graph.node for name in node.output}
        self._output = output or scores_tensor(model.graph)
        if self._output not in tensors:
            raise UsageError(
                f"{path} has no tensor {self._output!r}; its outputs are {', '.join(item.name for item in model.graph.output)}."
            )
        given = self._output in {item.name for item in model.graph.output}
        if not given:
            model = with_outputs(model, [self._output])
        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 4, torch.get_num_threads()
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
        try:
            whole = str(path) if given and model.ByteSize() >= LARGEST else model.SerializeToString()
            self._session = onnxruntime.InferenceSession(whole, options, providers=providers)
        except Exception as error:  # its exceptions share no public base class
            raise EdgeKDError(f"ONNX Runtime refuses {path}: {str(error).splitlines()[0]}") from error
        entry = self._session.get_inputs()[0]
        self._entry = entry.name
        self.takes_bytes = entry.type == "tensor(uint8)"
        shape = [length if isinstance(length, int) else None for length in entry.shape]
        if len(shape) != 4 or shape[3 if self.takes_bytes else 1] not in (3, None):
            raise UsageError(f"{path} takes {entry.shape} {entry.type}, not a batch of RGB images B×3×H×W.")
        self.batch = shape[0]
        height, width = (shape[1], shape[2]) if self.takes_bytes else (shape[2], shape[3])
        self.size = (height, width) if height and width else None

    def __call__(self, image: Tensor) -> Tensor:
        """Normalised image B×3×H×W → logits on its device."""
        array: Any = image.detach().cpu()
        array = array.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy() if self.takes_bytes else array.numpy()
        found = self._session.run([self._output], {self._entry: array})[0]
        return torch.from_numpy(found).to(image.device)
