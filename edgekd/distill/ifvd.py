"""IFVD, intra-class feature variation distillation (Wang et al. 2020)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.device import one_hot
from edgekd.distill.float32 import float32
from edgekd.distill.resize import labels_at
from edgekd.distill.transfer import Pair, Transfer, Widths


@float32
def intra_class_variation(student_features: Tensor, teacher_features: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Mean squared difference of the cosines between each pixel and its class's centre in the image (Wang et al. 2020, eq. 2–4).

    Args:
        student_features: B×A_s×h×w.
        teacher_features: B×A_t×h×w; the channel counts may differ.
        labels: B×H×W, nearest-resized to h×w; pixels that are no class are their own centre.
        num_classes: C.

    Returns:
        Scalar, 0 at identity.
    """
    classes = labels_at(labels, student_features.shape[-2:]).flatten(1)
    return F.mse_loss(_centre_cosine(student_features, classes, num_classes), _centre_cosine(teacher_features, classes, num_classes))


def _centre_cosine(features: Tensor, classes: Tensor, num_classes: int) -> Tensor:
    """Cosine of each pixel to its centre, B×(h·w)."""
    pixels = features.flatten(2).mT
    valid = classes < num_classes
    slot = classes.clamp_max(num_classes)[..., None].expand_as(pixels)
    sums = torch.zeros(len(pixels), num_classes + 1, pixels.shape[2], dtype=pixels.dtype, device=pixels.device).scatter_add(1, slot, pixels)
    counts = one_hot(classes.clamp_max(num_classes), num_classes + 1).sum(1)[..., None]
    centres = (sums / (counts + 1e-6)).gather(1, slot)
    return F.cosine_similarity(pixels, torch.where(valid[..., None], centres, pixels), dim=2)


class IntraClassVariation(Transfer):
    """`intra_class_variation` on the features."""

    paper = "Wang et al. 2020"
    summary = "intra-class feature variation"
    default_weight = 20.0
    needs = frozenset({"features", "labels"})
    companions = ("pd", "adversarial")

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.num_classes = widths.num_classes

    def forward(self, pair: Pair) -> Tensor:
        return intra_class_variation(pair.student.features, pair.teacher.features, pair.labels, self.num_classes)
