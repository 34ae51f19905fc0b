"""FAKD, feature-augmented distillation (arXiv 2208.14143): infinitely many augmented student features in closed form.

Each student feature is imagined as ŝ_i ~ N(s_i, λΣ_y) with the covariance of its pixel's class; the expected loss has an upper
bound by Jensen and the Gaussian's moment-generating function. METHODS' corrected equations, not the paper's misprinted 4–8.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.device import may_look
from edgekd.distill.float32 import float32
from edgekd.distill.grouped import Grouped
from edgekd.distill.resize import labels_at
from edgekd.distill.statistics import ClassStatistics
from edgekd.distill.transfer import NotNegative, Pair, Positive, Transfer, Widths

_TINY, _TINIEST = 1e-30, 1e-300
_CHUNK = 1 << 22
_HEIGHT = {True: 128, False: 512}
"""Pixels of a class that one product takes in, by whether the host may look: where it may not, a larger block costs fewer launches."""


def _pair_variance(weight: Tensor, variance: Tensor) -> Tensor:
    """Q[y, c, k] = (w_k − w_c)ᵀ Σ_y (w_k − w_c), Y×C×C; Σ is Y×A (diagonal) or Y×A×A."""
    gram = (weight * variance[:, None] if variance.ndim == 2 else weight @ variance) @ weight.mT
    diagonal = gram.diagonal(dim1=1, dim2=2)
    return (diagonal[:, None] + diagonal[:, :, None] - gram - gram.mT).clamp_min(0)


@float32
def augmented_pixel_kd(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, weight: Tensor, variance: Tensor, strength: float | Tensor
) -> Tensor:
    """FAKD's PD bound: mean_i Σ_c p_i^c · LSE_k[z_ik − z_ic + (λ/2)·Q_y[c, k]].

    One batched product over blocks of pixels of a class instead of M×C×C buffers: the exponentials of logits and of Q are separate factors.

    Args:
        student_logits: z, B×C×h×w, of the student's own classifier.
        teacher_logits: B×C×h×w.
        labels: B×H×W, nearest-resized to h×w; ignored pixels get no correction.
        weight: The classifier's W, C×A (a 1×1 convolution's weight will do).
        variance: Σ of each class, C×A diagonal or C×A×A.
        strength: λ ≥ 0.

    Returns:
        Scalar; the cross entropy form of PD at λ = 0.
    """
    num_classes = student_logits.shape[1]
    weight = weight.flatten(1)
    z = student_logits.permute(0, 2, 3, 1).reshape(-1, num_classes)
    p = F.softmax(teacher_logits, 1).permute(0, 2, 3, 1).reshape(-1, num_classes)
    classes = labels_at(labels, student_logits.shape[-2:]).flatten().clamp(max=num_classes)
    grouped = Grouped(classes, num_classes + 1, _HEIGHT[may_look(classes)])
    table = strength / 2 * _pair_variance(weight, variance[grouped.classes.clamp(max=num_classes - 1)])
    table = table * (grouped.classes < num_classes).to(table)[:, None, None]  # ignored pixels get no correction
    z, p = grouped.lay(z), grouped.lay(p)  # rows of padding have no probability, and so no part in the sum
    return (p * (_augmented_log_sum(z, table[grouped.owner]) - z)).sum() / len(classes)


def _augmented_log_sum(z: Tensor, table: Tensor) -> Tensor:
    """Log Σ_k exp(z_ik + table[c, k]) for every row i and class c of each block, blocks×M×C, as a product of exponentials.

    Both factors are shifted by their row maxima, so the product underflows where the maxima are far apart. Where the host may look, such
    entries are computed directly. Elsewhere the product is in float64, which holds for distances up to 690; beyond, the larger of the terms
    at the two maxima stands for the sum.
    """
    row_max, table_max = z.detach().amax(2, keepdim=True), table.detach().amax(2, keepdim=True)
    if not may_look(z):
        return _in_float64(z, table, row_max, table_max)
    product = torch.exp(z - row_max) @ torch.exp(table - table_max).mT
    low = product.detach() < _TINY
    result = product.clamp_min(_TINY).log() + row_max + table_max.mT
    if bool(low.any()):
        places = low.nonzero(as_tuple=True)
        chunk = max(1, _CHUNK // z.shape[2])
        parts = zip(*(place.split(chunk) for place in places), strict=True)
        result = result.index_put(places, torch.cat([(z[block, i] + table[block, c]).logsumexp(1) for block, i, c in parts]))
    return result


def _in_float64(z: Tensor, table: Tensor, row_max: Tensor, table_max: Tensor) -> Tensor:
    product = torch.exp((z - row_max).double()) @ torch.exp((table - table_max).double()).mT
    low = product.detach() < _TINIEST
    result = product.clamp_min(_TINIEST).log() + row_max + table_max.mT
    rows, classes = z.shape[1], table.shape[1]
    at_table_max = z.gather(2, table.detach().argmax(2)[:, None].expand(-1, rows, -1)) + table_max.mT
    at_row_max = table.mT.gather(1, z.detach().argmax(2)[:, :, None].expand(-1, -1, classes)) + row_max
    return torch.where(low, torch.maximum(at_table_max, at_row_max).double(), result).to(z.dtype)


@float32
def augmented_channel_kd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    weight: Tensor,
    variance: Tensor,
    strength: float | Tensor,
    temperature: float = 1.0,
    bound: Literal["paper", "tight"] = "paper",
) -> Tensor:
    """FAKD's CWD bound: (τ²/C)·Σ_c {LSE_i[z_ic/τ + v_ic/(2τ²)] − Σ_i p_ic·(z_ic/τ − v_ic/(2τ²))}, mean over images.

    v_ic = λ·w_cᵀ Σ_y w_c is a C×C table looked up by the pixel's label, so the cost is CWD's.

    Args:
        student_logits: z, B×C×h×w.
        teacher_logits: B×C×h×w.
        labels: B×H×W, nearest-resized to h×w; ignored pixels get no correction.
        weight: The classifier's W, C×A.
        variance: Σ of each class, C×A diagonal or C×A×A.
        strength: λ ≥ 0.
        temperature: τ.
        bound: ``paper`` bounds every position's term of the softmax's sum, ``tight`` leaves the position's own at 1, which it is.

    Returns:
        Scalar; the cross entropy form of CWD at λ = 0.
    """
    num_classes = student_logits.shape[1]
    weight = weight.flatten(1)
    if variance.ndim == 2:
        spread = variance @ weight.square().mT
    else:
        spread = torch.einsum("ca,yab,cb->yc", weight, variance, weight)
    table = F.pad(strength * spread / (2 * temperature**2), (0, 0, 0, 1))  # the last row, of ignored pixels, is 0
    classes = labels_at(labels, student_logits.shape[-2:]).clamp(max=num_classes)
    half_v = table.mT[:, classes].transpose(0, 1).flatten(2)
    z = student_logits.flatten(2) / temperature
    p = F.softmax(teacher_logits.flatten(2) / temperature, 2)
    total = (z + half_v).logsumexp(2)
    if bound == "tight":
        # of log Σ_k exp(z_k + v_k/2 − z_i + v_i/2), k = i is 1 instead of exp(v_i): a step of log(1 − share_i + exp(−whole_i))
        whole = total[..., None] - (z - half_v)
        others = -torch.expm1((z + half_v - total[..., None]).clamp_max(0))
        return temperature**2 * (p * (whole + (others + torch.exp(-whole)).clamp_min(_TINY).log())).sum(2).mean()
    return temperature**2 * (total - (p * (z - half_v)).sum(2)).mean()


class AugmentedKD(Transfer):
    """FAKD: class statistics of the student's features, λ rising as a cosine, and one of the two bounds.

    Args:
        widths: Channel counts.
        strength: λ0, reached at the end of the run.
        covariance: ``diagonal`` or ``full``.
    """

    paper = "FAKD, arXiv 2208.14143"
    needs = frozenset({"classifier", "labels"})

    def __init__(self, widths: Widths, strength: NotNegative = 1.0, covariance: Literal["diagonal", "full"] = "diagonal") -> None:
        super().__init__()
        self.strength = strength
        self.statistics = ClassStatistics(widths.num_classes, widths.student, full=covariance == "full")

    def schedule(self, progress: float) -> float:
        """λ at a share of the run: 0 → λ0 as a cosine."""
        return self.strength * (1 - math.cos(math.pi * min(progress, 1.0))) / 2

    def observe(self, pair: Pair) -> Tensor:
        """Update the statistics with this step's features; returns the variance."""
        features = pair.student.features.detach()
        if self.training:
            labels = labels_at(pair.labels, features.shape[-2:])
            self.statistics.update(features.permute(0, 2, 3, 1).flatten(0, 2), labels.flatten())
        return self.statistics.variance.clone()  # the next step updates the buffer in place


class AugmentedPixelKD(AugmentedKD):
    """`augmented_pixel_kd` with running statistics."""

    summary = "PD with augmented student features in closed form"
    default_weight = 1.0

    def forward(self, pair: Pair) -> Tensor:
        variance, strength = self.observe(pair), self.schedule(pair.progress)
        return augmented_pixel_kd(pair.student.logits, pair.teacher.logits, pair.labels, pair.classifier.weight, variance, strength)


class AugmentedChannelKD(AugmentedKD):
    """`augmented_channel_kd` with running statistics.

    Args:
        widths: Channel counts.
        strength: λ0.
        covariance: ``diagonal`` or ``full``.
        temperature: τ.
        bound: ``paper``, or ``tight``, which is about 2 % lower where λ is 1.
    """

    summary = "CWD with augmented student features in closed form"
    default_weight = 5.0
    data_weights = {"ade20k": 10.0}

    def __init__(
        self,
        widths: Widths,
        strength: NotNegative = 1.0,
        covariance: Literal["diagonal", "full"] = "diagonal",
        temperature: Positive = 1.0,
        bound: Literal["paper", "tight"] = "paper",
    ) -> None:
        super().__init__(widths, strength, covariance)
        self.temperature, self.bound = temperature, bound

    def forward(self, pair: Pair) -> Tensor:
        variance, strength = self.observe(pair), self.schedule(pair.progress)
        return augmented_channel_kd(
            pair.student.logits,
            pair.teacher.logits,
            pair.labels,
            pair.classifier.weight,
            variance,
            strength,
            self.temperature,
            self.bound,
        )
