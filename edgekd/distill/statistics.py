"""Running mean and variance of each class's features, pooled over everything seen (ISDA, Wang et al. 2019)."""

import torch
from torch import Tensor, nn

from edgekd.distill.device import one_hot
from edgekd.distill.grouped import Grouped
from edgekd.distill.processes import sum_over_processes

_HEIGHT = 1024
"""Rows of a class that one product of a full covariance takes in."""


class ClassStatistics(nn.Module):
    """Per-class mean and biased variance, updated batch by batch and kept in the checkpoint.

    r = n_b/(n_b+N); Σ ← (1−r)Σ + rΣ_b + r(1−r)(μ−m)²; μ ← (1−r)μ + r·m; N += n_b, with n_b, m, Σ_b of the batch over all
    processes.

    Args:
        num_classes: C.
        channels: A.
        full: Keep covariances C×A×A instead of variances C×A.

    Attributes:
        count: C.
        mean: C×A.
        variance: C×A, or C×A×A.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, num_classes: int, channels: int, full: bool = False) -> None:
        super().__init__()
        self.full = full
        self.register_buffer("count", torch.zeros(num_classes, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(num_classes, channels))
        self.register_buffer("variance", torch.zeros(num_classes, channels, *([channels] if full else [])))

    @torch.no_grad()
    def update(self, features: Tensor, labels: Tensor) -> None:
        """Take in a batch.

        Args:
            features: N×A.
            labels: N; values that are no class (255) are left out.
        """
        classes, labels = len(self.count), labels.long()
        with torch.autocast(features.device.type, enabled=False):
            features = features.detach().to(self.mean.dtype)
            # a one-hot product is one GEMM, and unlike index_add the same from run to run on CUDA
            member = one_hot(labels, classes).to(features)
            count = sum_over_processes(member.sum(0, dtype=torch.float64))
            mean = sum_over_processes(member.mT @ features) / count.clamp_min(1).to(features)[:, None]
            spread = sum_over_processes(self._squares(features, labels, member, mean))
            self._merge(count, mean, spread)

    def _squares(self, features: Tensor, labels: Tensor, member: Tensor, mean: Tensor) -> Tensor:
        """Sums of centred squares a class."""
        classes = len(self.count)
        valid = (labels < classes)[:, None]
        centred = torch.where(valid, features - mean[labels.clamp_max(classes - 1)], torch.zeros_like(features))
        if not self.full:
            return member.mT @ centred.square()
        grouped = Grouped(labels.clamp_max(classes), classes + 1, _HEIGHT)
        blocks = grouped.lay(centred)
        squares = self.variance.new_zeros(classes + 1, *self.variance.shape[1:])
        return squares.index_copy(0, grouped.classes, grouped.total(blocks.mT @ blocks))[:classes]

    def _merge(self, count: Tensor, mean: Tensor, squares: Tensor) -> None:
        shape = (-1, 1, 1) if self.full else (-1, 1)
        ratio = (count / (count + self.count).clamp_min(1)).to(mean)
        shift = self.mean - mean
        product = shift[:, :, None] * shift[:, None, :] if self.full else shift.square()
        r = ratio.view(shape)
        batch_variance = squares / count.clamp_min(1).to(mean).view(shape)
        self.variance.copy_((1 - r) * self.variance + r * batch_variance + r * (1 - r) * product)
        self.mean.lerp_(mean, ratio[:, None])
        self.count += count
