"""RDD, relative-difficulty distillation (arXiv 2407.03719): which pixels the task loss looks at.

First the teacher alone says how hard a pixel is (TFE), then teacher and student together (TSE).
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.device import may_look
from edgekd.distill.float32 import float32
from edgekd.distill.processes import kth_of_counted, kth_smallest, masked_mean, sum_over_processes, weighted_mean, world_size
from edgekd.distill.resize import upsample
from edgekd_runtime.classes import IGNORE

Mode = Literal["xor", "or", "and", "ohem"]
MODES = {
    "xor": torch.logical_xor,
    "or": torch.logical_or,
    "and": torch.logical_and,
    "ohem": lambda student, teacher: student,
}


@float32
def teacher_agreement(
    teacher_logits: Tensor, teacher_aux_logits: Tensor, size: tuple[int, int], kl: Literal["code", "paper"] = "code"
) -> Tensor:
    """TFE map: exp(−KL) between the teacher's two heads at its stride, then resized (exp first).

    Args:
        teacher_logits: B×C×h×w.
        teacher_aux_logits: B×C×h'×w', resized to the main logits.
        size: (H, W) of the labels.
        kl: ``code`` is KL(aux‖main), as the public code has it; ``paper`` KL(main‖aux).

    Returns:
        B×H×W in (0, 1]; 1 where the heads agree.
    """
    main = F.log_softmax(teacher_logits, 1)
    aux = F.log_softmax(upsample(teacher_aux_logits, (teacher_logits.shape[-2], teacher_logits.shape[-1])), 1)
    p, q = (aux, main) if kl == "code" else (main, aux)
    agreement = torch.exp(-(p.exp() * (p - q)).sum(1, keepdim=True))
    return upsample(agreement, (size[0], size[1]))[:, 0]


@float32
def pixel_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the resized logits at every pixel, B×H×W; 0 where ignored."""
    size = (labels.shape[-2], labels.shape[-1])
    known = labels.masked_fill(labels >= logits.shape[1], IGNORE)
    return F.cross_entropy(upsample(logits, size), known, ignore_index=IGNORE, reduction="none")


def class_weights_at(labels: Tensor, class_weights: Tensor | None, like: Tensor) -> Tensor:
    """The weight of every pixel's class, B×H×W: 1 without class weights; of ignored pixels it means nothing."""
    if class_weights is None:
        return torch.ones_like(like)
    return class_weights.to(like)[labels.clamp_max(len(class_weights) - 1)]


def agreement_loss(student_logits: Tensor, agreement: Tensor, labels: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """TFE: mean over all B·H·W of the `teacher_agreement` times the cross entropy; ignored pixels give 0 and count.

    Args:
        student_logits: B×C×h×w.
        agreement: B×H×W.
        labels: B×H×W, 255 = ignore.
        class_weights: Of the cross entropy, length C; the public code has none here.

    Returns:
        Scalar.
    """
    loss = pixel_cross_entropy(student_logits, labels)
    return (agreement * class_weights_at(labels, class_weights, loss) * loss).mean()


@float32
def hard_pixels(logits: Tensor, labels: Tensor, threshold: float = 0.7, min_kept: int = 0) -> Tensor:
    """Pixels whose own class gets too little probability.

    Args:
        logits: B×C×h×w, resized to the labels.
        labels: B×H×W, 255 = ignore.
        threshold: A pixel is hard when its label's probability is at or below
            max(threshold, the min_kept-th smallest probability of the batch).
        min_kept: Pixels of the batch kept at least; more than there are valid ones means all of those. With several processes,
            each adds its batch and its `min_kept`, and the threshold is one for all.

    Returns:
        bool B×H×W; False where ignored.
    """
    with torch.no_grad():
        loss = pixel_cross_entropy(logits, labels)
        return hard_from_loss(loss, labels < logits.shape[1], threshold, min_kept)


def hard_from_loss(loss: Tensor, valid: Tensor, threshold: float, min_kept: int) -> Tensor:
    """`hard_pixels` from the unweighted `pixel_cross_entropy`, which is −log of the probability it needs, and the valid pixels."""
    probability = torch.exp(-loss.detach())  # 1 where ignored
    hard = valid & (probability <= threshold)
    if not min_kept:
        return hard
    counts, most = sum_over_processes(torch.stack([hard.sum(), valid.sum()])), min_kept * world_size()
    if not may_look(loss):
        kth = kth_of_counted(probability, valid, counts[1].clamp_max(most), most)
        return valid & (probability <= kth.clamp_min(threshold))  # the threshold itself where enough are below it
    found, there = counts.tolist()
    if found < (kept := min(most, there)):
        hard = valid & (probability <= kth_smallest(probability[valid], kept).clamp_min(threshold))
    return hard


def relative_difficulty_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    mode: Mode = "xor",
    threshold: float = 0.7,
    min_kept: int = 0,
    *,
    class_weights: Tensor | None = None,
    reduction: Literal["kept", "all"] = "kept",
    divisor: Literal["pixels", "weights"] = "pixels",
    teacher_hard: Tensor | None = None,
) -> Tensor:
    """TSE: cross entropy over the pixels that are hard for the student, or the teacher, as `mode` combines them.

    Args:
        student_logits: B×C×h×w.
        teacher_logits: B×C×h'×w'.
        labels: B×H×W, 255 = ignore.
        mode: ``xor``, ``or``, ``and``, or ``ohem`` (the student's hard pixels alone).
        threshold: As in `hard_pixels`.
        min_kept: As in `hard_pixels`.
        class_weights: Of the cross entropy, length C.
        reduction: ``kept`` is the mean over the chosen pixels (public code), ``all`` over B·H·W (paper).
        divisor: Of the mean over the chosen pixels: their number, or the sum of their class weights (public code).
        teacher_hard: The teacher's `hard_pixels`, where they are known already.

    Returns:
        Scalar; 0 for an empty choice.
    """
    labels = labels.long()
    loss = pixel_cross_entropy(student_logits, labels)
    chosen = difficulty_mask(loss, teacher_logits, labels, mode, threshold, min_kept, teacher_hard)
    weights = class_weights_at(labels, class_weights, loss)
    if reduction == "all":
        return torch.where(chosen, weights * loss, torch.zeros_like(loss)).mean()
    return weighted_mean(loss, weights * chosen) if divisor == "weights" else masked_mean(weights * loss, chosen)


def difficulty_mask(
    loss: Tensor, teacher_logits: Tensor, labels: Tensor, mode: Mode, threshold: float, min_kept: int, teacher_hard: Tensor | None = None
) -> Tensor:
    """TSE's choice of pixels, bool B×H×W, from the student's unweighted `pixel_cross_entropy`."""
    student_hard = hard_from_loss(loss, labels < teacher_logits.shape[1], threshold, min_kept)
    if mode == "ohem":
        return student_hard
    if teacher_hard is None:
        teacher_hard = hard_pixels(teacher_logits, labels, threshold, min_kept)
    return MODES[mode](student_hard, teacher_hard)
