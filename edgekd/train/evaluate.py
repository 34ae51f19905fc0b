"""Scoring a segmenter, by default as it will be deployed: image resized to the network's rectangle, class map back at label size."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.console import Update
from edgekd.data.layout import Layout
from edgekd.distill.lad import LabelNoiser, label_gain, with_label
from edgekd.distill.processes import sum_over_processes
from edgekd.distill.resize import labels_at, upsample
from edgekd.models import Network
from edgekd.train.inference import DEPLOYED, Inference, mean_probabilities
from edgekd_runtime.accuracy import Accuracy, ConfusionMatrix
from edgekd_runtime.image import fit, fit_classes


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_device(image: NDArray[np.uint8], device: torch.device) -> Tensor:
    """RGB uint8 H×W×3 → 1×3×H×W on the device."""
    return torch.from_numpy(image).to(device).permute(2, 0, 1)[None]


@torch.inference_mode()
def predict(
    model: Network,
    image: NDArray[np.uint8],
    label: NDArray[np.uint8],
    size: tuple[int, int],
    noiser: Callable[[Tensor], Tensor] | None = None,
    inference: Inference = DEPLOYED,
) -> NDArray[np.uint8]:
    """Class map at the label's size.

    Args:
        model: In eval mode.
        image: RGB uint8 H×W×3.
        label: uint8 H×W; only its size counts, except for a label-assisted model.
        size: Network input (h, w).
        noiser: Gives a label-assisted model its fourth channel.
        inference: Which views of the image vote.
    """
    look = partial(_network_input, model, image, label, noiser)
    if inference == DEPLOYED:
        scores = upsample(model(look(size)).logits.float(), size)
    else:
        scores = mean_probabilities(model, look, inference.size_of(*image.shape[:2]) if inference.native else size, inference)
    return fit_classes(scores.argmax(1)[0].to(torch.uint8).cpu().numpy(), (label.shape[0], label.shape[1]))


def _network_input(
    model: Network, image: NDArray[np.uint8], label: NDArray[np.uint8], noiser: Callable[[Tensor], Tensor] | None, size: tuple[int, int]
) -> Tensor:
    """The image, and the noised label for a model that is shown it, at one size."""
    device = next(model.parameters()).device
    network_input = model.normalize(to_device(fit(image, size), device))
    if noiser is None:
        return network_input
    return with_label(network_input, noiser(labels_at(torch.from_numpy(label)[None].long(), size).to(device)))


def evaluate(
    model: Network,
    layout: Layout,
    size: tuple[int, int],
    *,
    inference: Inference = DEPLOYED,
    rank: int = 0,
    world: int = 1,
    update: Update | None = None,
) -> Accuracy:
    """Score a segmenter on a split; the images are dealt out over the processes.

    A label-assisted model is shown the label, noised by a fixed seed: its score is privileged, no student can have it.

    Args:
        model: Put in eval mode, and back as it was.
        layout: The split.
        size: Network input (H, W).
        inference: Which views of each image vote.
        rank: This process.
        world: Number of processes.
        update: Told of progress.
    """
    training = model.training
    model.eval()
    noiser = LabelNoiser(model.num_classes, gain=label_gain(model.std)) if model.in_channels > 3 else None
    matrix = ConfusionMatrix(model.num_classes)
    device = next(model.parameters()).device
    for index in range(rank, len(layout), world):
        image, label = layout.read(index)
        matrix.update(label, predict(model, image, label, size, noiser and partial(noiser, seed=index), inference))
        if update is not None:
            update(index + 1, len(layout))
    model.train(training)
    matrix.counts = sum_over_processes(torch.from_numpy(matrix.counts).to(device)).cpu().numpy()
    return matrix.accuracy()


def pairs(layout: Layout, limit: int | None = None) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """(image, label) of a split, in order; of so many samples spread over it where there is a limit."""
    for index in layout.spread(limit):
        yield layout.read(index)
