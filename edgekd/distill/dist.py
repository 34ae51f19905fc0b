"""DIST (Huang et al. 2022, arXiv 2205.10536): the student's probabilities need only correlate with the teacher's, not equal them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.float32 import float32
from edgekd.distill.processes import sum_over_processes, sum_with_gradient, world_size
from edgekd.distill.transfer import NotNegative, Pair, Positive, Transfer

EPSILON = 1e-8
"""Added to the product of the standard deviations: a class that neither model ever sees has none."""


@float32
def correlation_kd(student: Tensor, teacher: Tensor, inter: float = 1.0, intra: float = 1.0, temperature: float = 1.0) -> Tensor:
    """T²·(β·inter-class + γ·intra-class), each a mean of 1 − Pearson's correlation (Huang et al. 2022, equations 8 and 9).

    Inter-class: of the class probabilities at every pixel. Intra-class: of each class over all pixels of the batch, which is that of
    all processes.

    Args:
        student: Logits B×C×h×w.
        teacher: Logits B×C×h×w.
        inter: β.
        intra: γ.
        temperature: T of both softmaxes.

    Returns:
        Scalar, 0 at identity.
    """
    s, t = (F.softmax(logits / temperature, 1) for logits in (student, teacher))
    return temperature**2 * (inter * (1 - _over_classes(s, t)).mean() + intra * (1 - _over_pixels(s, t)).mean())


def _over_classes(s: Tensor, t: Tensor) -> Tensor:
    """Correlation at every pixel, B×h×w; the probabilities' mean is 1/C."""
    s, t = s - 1 / s.shape[1], t - 1 / t.shape[1]
    return _correlation((s * t).sum(1), s.square().sum(1), t.square().sum(1))


def _over_pixels(s: Tensor, t: Tensor) -> Tensor:
    """Correlation of every class over the pixels of all processes, C."""
    pixels = (0, 2, 3)
    count = s.numel() / s.shape[1] * world_size()
    # the means need no gradient: deviations from them sum to 0
    means = sum_over_processes(torch.stack([s.sum(pixels), t.sum(pixels)])) / count
    s, t = (values - mean[:, None, None] for values, mean in zip((s, t), means, strict=True))
    return _correlation(*sum_with_gradient(torch.stack([(s * t).sum(pixels), s.square().sum(pixels), t.square().sum(pixels)])))


def _correlation(product: Tensor, square_s: Tensor, square_t: Tensor) -> Tensor:
    return product / (square_s * square_t + EPSILON**2).sqrt()


class CorrelationKD(Transfer):
    """`correlation_kd` on the logits.

    Args:
        inter: β.
        intra: γ.
        temperature: T.
    """

    paper = "Huang et al. 2022 (DIST)"
    summary = "correlation of class probabilities, at every pixel and of every class"
    default_weight = 1.0

    def __init__(self, inter: NotNegative = 1.0, intra: NotNegative = 1.0, temperature: Positive = 1.0) -> None:
        super().__init__()
        self.inter, self.intra, self.temperature = inter, intra, temperature

    def forward(self, pair: Pair) -> Tensor:
        return correlation_kd(pair.student.logits, pair.teacher.logits, self.inter, self.intra, self.temperature)
