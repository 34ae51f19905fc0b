"""Logits and labels at one size."""

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.models.heads.base import upsample

__all__ = ["labels_at", "upsample"]


def labels_at(labels: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Labels B×H×W by nearest neighbour at (h, w)."""
    if labels.shape[-2:] == tuple(size):
        return labels.long()
    return F.interpolate(labels[:, None].float(), tuple(size), mode="nearest")[:, 0].long()
