"""Calibration of an exported FP32 model on its own training images: which images, which ranges, written down."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.console import progress
from edgekd.data import Layout
from edgekd.distill.resize import labels_at
from edgekd.export.parity import choose_images
from edgekd.runs import Run
from edgekd_calib.forms import CALIBRATED
from edgekd_calib.graph import Image, load_graph
from edgekd_calib.quantize import quantised_tensors
from edgekd_calib.ranges import tensor_ranges
from edgekd_calib.table import CalibrationTable
from edgekd_runtime.artifact import Artifact, load_artifact
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.image import fit


@dataclass(frozen=True)
class CalibrationSet:
    """Class-covering images at the network's rectangle.

    Attributes:
        names: Of the samples.
        images: uint8 1×H×W×3 each.
        labels: uint8 H×W each, at the same size.
        seed: Of the selection.
    """

    names: list[str]
    images: list[Image]
    labels: list[NDArray[np.uint8]]
    seed: int

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each image's pixels → its name."""
        return {hashlib.sha256(image.tobytes()).hexdigest(): name for image, name in zip(self.images, self.names, strict=True)}


def calibration_set(layout: Layout, count: int, size: tuple[int, int], seed: int = 0) -> CalibrationSet:
    """Choose images of a split that cover its classes, and prepare them as the deployed model gets them.

    Args:
        layout: The training split.
        count: How many.
        size: Network input (H, W).
        seed: Of the order among images that cover the classes equally well.

    Raises:
        EdgeKDError: If the split is empty.
    """
    import torch

    if not len(layout):
        raise EdgeKDError("The calibration split has no images; see `edgekd data check`.")
    chosen = choose_images(layout, count, seed)
    names, images, labels = [], [], []
    with progress("calibration images") as update:
        for done, index in enumerate(chosen, 1):
            image, label = layout.read(index)
            names.append(layout.name(index))
            images.append(fit(image, size)[None])
            labels.append(labels_at(torch.from_numpy(label)[None].long(), size)[0].to(torch.uint8).numpy())
            update(done, len(chosen))
    return CalibrationSet(names, images, labels, seed)


def exported_fp32(run: Path) -> tuple[Path, Artifact]:
    """A run's FP32 export, which every lower precision starts from.

    Raises:
        EdgeKDError: If the run has none.
    """
    source = Run(run).fp32
    if not source.is_file():
        raise EdgeKDError(f"{run} has no fp32 export to calibrate; make one with `edgekd export {run}`.")
    return source, load_artifact(source)


def calibrate(source: Path, images: CalibrationSet, method: str) -> CalibrationTable:
    """Find the ranges of an exported FP32 model, for every form of INT8.

    Args:
        source: ``model.onnx`` with its sidecar.
        images: What it is shown.
        method: A key of `edgekd_calib.ranges.METHODS`.
    """
    artifact = load_artifact(source)
    if artifact.precision != "fp32":
        raise EdgeKDError(f"{source} is {artifact.precision} already; calibrate the fp32 export.")
    model = load_graph(source)
    with progress(f"calibration, {method}") as update:
        ranges = tensor_ranges(model, images.images, method, CALIBRATED, lambda done: update(done, len(images.images)))
    used = quantised_tensors(model.graph)
    found = {name: value for name, value in ranges.items() if name in used}
    return CalibrationTable(artifact.sha256, method, images.seed, images.hashes, found)
