"""Parity: the exported file against PyTorch, on real validation images that cover every class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.console import Update
from edgekd.data import Layout
from edgekd.export.deployed import Deployed
from edgekd.models import Segmenter
from edgekd_calib.graph import load_graph, onnxruntime_version, run_graph, scores_tensor
from edgekd_calib.selection import class_shares, covering_images
from edgekd_runtime.errors import GateError
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


def check_parity(model: Segmenter, file: Path, size: tuple[int, int], layout: Layout, images: int, update: Update) -> Parity:
    """Run both on validation images.

    Args:
        model: The segmenter that was exported.
        file: The exported file.
        size: Network input (H, W).
        layout: Labelled images; a class-covering choice of them is used.
        images: How many.
        update: Told of progress.

    Raises:
        MissingError: If ONNX Runtime is not installed.
    """
    graph = load_graph(file)
    reference = Deployed(model, size, "logits").eval()
    chosen = [fit(layout.read(index).image, size)[None] for index in choose_images(layout, images)]
    names = dict.fromkeys([graph.graph.output[0].name, scores_tensor(graph.graph)])
    agree, worst = [], 0.0
    for position, (image, (*classes, logits)) in enumerate(zip(chosen, run_graph(graph, chosen, list(names)), strict=True), 1):
        with torch.inference_mode():
            expected = reference(torch.from_numpy(image)).numpy()
        given = classes[0] if classes else logits.argmax(1)
        agree.append(float((given == expected.argmax(1)).mean()))
        worst = max(worst, float(np.abs(logits - expected).max() / np.abs(expected).max()))
        update(position, len(chosen))
    return Parity(len(chosen), float(np.mean(agree)), worst, f"onnxruntime {onnxruntime_version()} CPU")


def choose_images(layout: Layout, count: int) -> list[int]:
    """Images that cover every class as evenly as they allow, from candidates spread over the split: four for each, at least 200."""
    candidates = np.unique(np.linspace(0, len(layout) - 1, min(max(200, 4 * count), len(layout))).round().astype(int))
    shares: list[NDArray[np.float64]] = [class_shares(layout.read(int(index)).label, len(layout.classes)) for index in candidates]
    return [int(candidates[index]) for index in covering_images(shares, count)]
