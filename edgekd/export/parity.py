"""Parity: the exported file against PyTorch, on real validation images that cover every class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from edgekd.console import Update
from edgekd.data import Layout
from edgekd.export.deployed import Deployed, Output
from edgekd.models import Segmenter
from edgekd_calib.selection import class_shares, covering_images
from edgekd_runtime.errors import GateError, MissingError
from edgekd_runtime.image import fit


@dataclass(frozen=True)
class ParityLimits:
    """When the exported file counts as equal.

    Attributes:
        pixels: Least share of pixels with the same class.
        logits: Largest logit error relative to the largest logit.
    """

    pixels: float = 0.999
    logits: float = 1e-3


@dataclass(frozen=True)
class Parity:
    """How the exported file compares.

    Attributes:
        images: Validation images compared.
        pixel_agreement: Share of pixels with the same class.
        logit_error: max|Δlogit| / max|logit|, the worst image's.
        backend: What ran the file.
    """

    images: int
    pixel_agreement: float
    logit_error: float
    backend: str

    def require(self, limits: ParityLimits, file: Path) -> None:
        """Raise unless within the limits.

        Raises:
            GateError: With both figures.
        """
        if self.pixel_agreement < limits.pixels or not self.logit_error <= limits.logits:
            raise GateError(
                f"{file} was not written: it differs from PyTorch on {self.images} images (same class {100 * self.pixel_agreement:.3f} %, "
                f"at least {100 * limits.pixels:g} % wanted; logit error {self.logit_error:.2e}, at most {limits.logits:g})."
            )


def check_parity(
    model: Segmenter, file: Path, size: tuple[int, int], output: Output, layout: Layout, images: int, update: Update
) -> Parity:
    """Run both on validation images.

    Args:
        model: The segmenter that was exported.
        file: The exported file.
        size: Network input (H, W).
        output: What the file gives.
        layout: Labelled images; a class-covering choice of them is used.
        images: How many.
        update: Told of progress.

    Raises:
        MissingError: If ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingError("Parity needs ONNX Runtime: pip install 'edgekd[cpu]' (or [gpu]).") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(_with_logits(file, output), options, providers=["CPUExecutionProvider"])
    reference = Deployed(model, size, "logits").eval()
    chosen = choose_images(layout, images)
    agree, worst = [], 0.0
    for position, index in enumerate(chosen, 1):
        image = fit(layout.read(index).image, size)[None]
        with torch.inference_mode():
            expected = reference(torch.from_numpy(image)).numpy()
        *classes, logits = session.run(None, {"image": image})
        given = classes[0] if classes else logits.argmax(1)
        agree.append(float((given == expected.argmax(1)).mean()))
        worst = max(worst, float(np.abs(logits - expected).max() / np.abs(expected).max()))
        update(position, len(chosen))
    return Parity(len(chosen), float(np.mean(agree)), worst, f"onnxruntime {onnxruntime.__version__} CPU")


def choose_images(layout: Layout, count: int) -> list[int]:
    """Few images that cover every class, from at most 200 spread over the split."""
    candidates = np.unique(np.linspace(0, len(layout) - 1, min(200, len(layout))).round().astype(int))
    shares: list[NDArray[np.float64]] = [class_shares(layout.read(int(index)).label, len(layout.classes)) for index in candidates]
    return [int(candidates[index]) for index in covering_images(shares, count)]


def _with_logits(file: Path, output: Output) -> bytes:
    """The file with the scores that its argmax reads as a second output."""
    graph = onnx.load(file)
    if output == "classes":
        node = next(node for node in graph.graph.node if node.op_type == "ArgMax")
        graph.graph.output.append(onnx.helper.make_tensor_value_info(node.input[0], onnx.TensorProto.FLOAT, None))
    return graph.SerializeToString()
