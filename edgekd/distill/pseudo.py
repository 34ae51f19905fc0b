"""Batches in which some images have no labels: taking the others, and what stands for the labels that are missing."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.float32 import float32
from edgekd.distill.processes import masked_mean
from edgekd.distill.resize import upsample
from edgekd.models import SegOutput
from edgekd_runtime.classes import IGNORE


def images_at(value: Tensor, images: Sequence[int]) -> Tensor:
    """These images of a batch, by numbers that the CPU knows, so that nothing waits for a GPU."""
    return torch.stack([value[index] for index in images])


def outputs_at(output: SegOutput, images: Sequence[int]) -> SegOutput:
    """These images of an output."""
    return output.each(lambda value: images_at(value, images))


@torch.no_grad()
def pseudo_labels(teacher_logits: Tensor, labels: Tensor, unlabelled: Sequence[int], confidence: float) -> Tensor:
    """Labels in which the teacher's own classes stand for what nobody labelled (Lee 2013), where it is confident.

    Args:
        teacher_logits: B×C×h×w, resized to the labels.
        labels: B×H×W.
        unlabelled: Images of the batch that have none.
        confidence: Probability at and above which a class is taken; other pixels are ignored.

    Returns:
        B×H×W; those of the other images as they were.
    """
    size = (labels.shape[-2], labels.shape[-1])
    rows = list(labels)
    for index in unlabelled:
        probability, classes = upsample(teacher_logits[index][None].float(), size).softmax(1).max(1)
        rows[index] = classes[0].masked_fill(probability[0] < confidence, IGNORE)
    return torch.stack(rows)


@float32
def pseudo_loss(logits: Tensor, labels: Tensor, unlabelled: Sequence[int]) -> Tensor:
    """Cross entropy over the labelled pixels of these images, of all processes; 0 where the teacher is confident of none.

    Args:
        logits: B×C×h×w, resized to the labels.
        labels: B×H×W of `pseudo_labels`.
        unlabelled: Images of the batch that count.

    Returns:
        Scalar.
    """
    labels = images_at(labels, unlabelled)
    whole = upsample(images_at(logits, unlabelled), (labels.shape[-2], labels.shape[-1]))
    return masked_mean(F.cross_entropy(whole, labels, ignore_index=IGNORE, reduction="none"), labels != IGNORE)
