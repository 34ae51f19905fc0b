"""BPKD (Liu et al. 2023, arXiv 2306.08075): the edges of objects are distilled pixel by pixel, their bodies as shapes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.cwd import channel_kd
from edgekd.distill.float32 import float32
from edgekd.distill.processes import masked_mean
from edgekd.distill.transfer import Count, NotNegative, Pair, Positive, Transfer


@float32
def boundary_kd(
    student: Tensor, teacher: Tensor, labels: Tensor, edge: float = 50.0, body: float = 20.0, radius: int = 3, temperature: float = 1.0
) -> Tensor:
    """λ_E·edge + λ_B·body, both on logits that the `edge_masks` M were multiplied into first.

    Edge: T²·KL over the classes at every pixel of z·M, averaged over each class's M, then over all images and the classes that have
    an edge there (the paper sums over the classes). Body: `channel_kd` of z·(1 − M).

    Args:
        student: Logits B×C×h×w.
        teacher: Logits B×C×h×w.
        labels: B×H×W.
        edge: λ_E.
        body: λ_B.
        radius: Half the width of the band round a border, in pixels of the labels.
        temperature: T.

    Returns:
        Scalar, 0 at identity.
    """
    mask = edge_masks(labels, student.shape[1], (student.shape[-2], student.shape[-1]), radius).to(student)
    log_s, log_t = (F.log_softmax(logits * mask / temperature, 1) for logits in (student, teacher))
    divergence = temperature**2 * (log_t.exp() * (log_t - log_s)).sum(1, keepdim=True)
    area = mask.sum((2, 3))
    of_class = (divergence * mask).sum((2, 3)) / area.clamp_min(1e-6)
    return edge * masked_mean(of_class, area > 0) + body * channel_kd(student * (1 - mask), teacher * (1 - mask), temperature)


@torch.no_grad()
def edge_masks(labels: Tensor, classes: int, size: tuple[int, int], radius: int) -> Tensor:
    """Share of each cell of h×w that lies on an edge of the class: where a window of 2·radius + 1 pixels shows it and something else.

    That is the dilation of the class's mask minus its erosion, then average pooling. Ignored pixels are something else, and lie on
    no edge themselves.

    Args:
        labels: B×H×W; what is no class is ignored.
        classes: C.
        size: (h, w).
        radius: In pixels.

    Returns:
        B×C×h×w from 0 to 1.
    """
    numbers = torch.arange(classes + 1, device=labels.device)[:, None, None]
    masks = []
    for image in labels.clamp_max(classes):  # one at a time: C masks of the labels' size are large
        near = _dilated(image == numbers, radius)
        edges = near[:classes] & (near.sum(0) > 1) & (image < classes)
        masks.append(F.adaptive_avg_pool2d(edges.float(), size))
    return torch.stack(masks)


def _dilated(mask: Tensor, radius: int) -> Tensor:
    """Where a square of 2·radius + 1 pixels holds a pixel of the mask, bool ·×H×W."""
    for axis in (-2, -1):
        grown, length = mask.clone(), mask.shape[axis]
        for shift in range(1, min(radius, length - 1) + 1):
            kept = length - shift
            grown.narrow(axis, shift, kept).logical_or_(mask.narrow(axis, 0, kept))
            grown.narrow(axis, 0, kept).logical_or_(mask.narrow(axis, shift, kept))
        mask = grown
    return mask


class BoundaryKD(Transfer):
    """`boundary_kd` on the logits.

    The weights 50 and 20 and the band of 7 pixels are the paper's. T is 1, as in the CWD runs that its tables compare with.

    Args:
        edge: λ_E.
        body: λ_B.
        radius: Half the width of the band, in pixels of the crop.
        temperature: T.
    """

    paper = "Liu et al. 2023 (BPKD)"
    summary = "edges of objects pixel by pixel, their bodies channel by channel"
    default_weight = 1.0
    needs = frozenset({"labels"})

    def __init__(self, edge: NotNegative = 50.0, body: NotNegative = 20.0, radius: Count = 3, temperature: Positive = 1.0) -> None:
        super().__init__()
        self.edge, self.body, self.radius, self.temperature = edge, body, radius, temperature

    def forward(self, pair: Pair) -> Tensor:
        return boundary_kd(pair.student.logits, pair.teacher.logits, pair.labels, self.edge, self.body, self.radius, self.temperature)
