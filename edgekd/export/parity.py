"""Parity: the exported file against PyTorch, on real validation images that cover every class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.console import Update
from edgekd.data import Layout
from edgekd.export.deployed import Deployed
from edgekd.models import Network
from edgekd_calib.graph import Image, load_graph, onnxruntime_version, run_graph, scores_tensor
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
        batch: Largest number of images that it was run on at once.
    """

    images: int
    pixel_agreement: float
    logit_error: float
    backend: str
    batch: int = 1

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
    model: Network, file: Path, size: tuple[int, int], layout: Layout, images: int, update: Update, max_batch: int = 1
) -> Parity:
    """Run both on validation images: PyTorch one by one, the file in batches of 1 and, where it takes more, of `max_batch`.

    Args:
        model: The segmenter that was exported.
        file: The exported file.
        size: Network input (H, W).
        layout: Labelled images; a class-covering choice of them is used.
        images: How many.
        update: Told of progress.
        max_batch: Largest batch that the file was exported for.

    Raises:
        MissingError: If ONNX Runtime is not installed.
        EdgeKDError: If ONNX Runtime can't run the file on a batch that it was exported for.
    """
    graph = load_graph(file)
    reference = Deployed(model, size, "logits").eval()
    chosen = [fit(layout.read(index).image, size)[None] for index in choose_images(layout, images)]
    names = dict.fromkeys([graph.graph.output[0].name, scores_tensor(graph.graph)])
    batches = list(_batches(chosen, max_batch))
    agree: list[float] = []
    worst = 0.0
    for position, (batch, (*classes, logits)) in enumerate(zip(batches, run_graph(graph, batches, list(names)), strict=True), 1):
        with torch.inference_mode():
            expected = np.concatenate([reference(torch.from_numpy(image[None])).numpy() for image in batch])
        given = classes[0] if classes else logits.argmax(1)
        agree += (given == expected.argmax(1)).mean((1, 2)).tolist()
        errors = np.abs(logits - expected).max((1, 2, 3)) / np.abs(expected).max((1, 2, 3))
        worst = max(worst, float(errors.max()))
        update(position, len(batches))
    return Parity(len(chosen), float(np.mean(agree)), worst, f"onnxruntime {onnxruntime_version()} CPU", max_batch)


def _batches(images: Sequence[Image], most: int) -> Iterator[Image]:
    """Every image alone, then, where a batch may be larger, one as large as it may be, of different images as far as there are any."""
    yield from images
    if most > 1:
        yield np.concatenate([images[index % len(images)] for index in range(most)])


def choose_images(layout: Layout, count: int, seed: int = 0) -> list[int]:
    """Images that cover every class as evenly as they allow, from candidates spread over the split: four for each, at least 200."""
    candidates = layout.spread(max(200, 4 * count))
    shares: list[NDArray[np.float64]] = [class_shares(layout.read(index).label, len(layout.classes)) for index in candidates]
    return [candidates[index] for index in covering_images(shares, count, seed)]
