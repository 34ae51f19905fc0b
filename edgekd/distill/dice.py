"""Dice loss (Milletari et al. 2016): how prediction and label overlap in area, so that a small class counts as much as a large one."""

import torch
from torch import Tensor

from edgekd.distill.float32 import float32
from edgekd.distill.processes import masked_mean
from edgekd.distill.resize import upsample

SMOOTH = 1.0


@float32
def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """1 − (2·Σ p·y + 1)/(Σ p + Σ y + 1) over the labelled pixels of an image, mean over all images and the classes that each shows.

    Args:
        logits: B×C×h×w, resized to the labels.
        labels: B×H×W; what is no class is ignored.

    Returns:
        Scalar from 0 to 1; 0 where nothing is labelled.
    """
    classes = logits.shape[1]
    labels = labels[:, None]
    member = labels == torch.arange(classes, device=labels.device)[:, None, None]
    probability = upsample(logits, (labels.shape[-2], labels.shape[-1])).softmax(1) * (labels < classes)
    overlap, total = (values.sum((2, 3)) for values in (probability * member, probability + member))
    return masked_mean(1 - (2 * overlap + SMOOTH) / (total + SMOOTH), member.any(3).any(2))
