"""PIDNet's boundary loss (Xu et al. 2023, equation 9): one head learns where classes meet, and there the main head counts twice."""

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.float32 import float32
from edgekd.distill.processes import masked_mean, sum_over_processes, world_size
from edgekd.distill.rdd import pixel_cross_entropy
from edgekd.distill.resize import upsample
from edgekd_runtime.classes import IGNORE

REACH = 2
"""Pixels on each side of a change of class that count as boundary: the paper's lines are 4 wide."""
BINARY_WEIGHT = 20.0
CONFIDENT = 0.8
"""Boundary probability above which a pixel's class counts once more."""


@float32
def boundary_targets(labels: Tensor) -> Tensor:
    """1 within `REACH` of where the label changes, 0 elsewhere; void counts as a label of its own.

    Args:
        labels: B×H×W.

    Returns:
        B×1×H×W.
    """
    values = labels[:, None].float()
    kernel = 2 * REACH + 1
    highest, lowest = F.max_pool2d(values, kernel, 1, REACH), -F.max_pool2d(-values, kernel, 1, REACH)
    return (highest != lowest).float()


@float32
def boundary_loss(boundary: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """20·balanced binary cross entropy of the boundary head + cross entropy of the main head where that head is sure of a boundary.

    In the binary part each of the two kinds of pixels has the other's share as weight, so lines count as much as areas.

    Args:
        boundary: B×1×h×w, logits.
        logits: B×C×h×w of the main head.
        labels: B×H×W.

    Returns:
        Scalar.
    """
    targets = boundary_targets(labels)
    boundary = upsample(boundary, (labels.shape[-2], labels.shape[-1]))
    positive = sum_over_processes(targets.mean()) / world_size()
    weight = torch.where(targets > 0, 1 - positive, positive)
    binary = F.binary_cross_entropy_with_logits(boundary, targets, weight)
    sure = (boundary[:, 0].sigmoid() > CONFIDENT) & (labels != IGNORE)
    return BINARY_WEIGHT * binary + masked_mean(pixel_cross_entropy(logits, labels), sure)
