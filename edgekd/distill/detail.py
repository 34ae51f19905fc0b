"""STDC's detail guidance (Fan et al. 2021): in training, the stride-8 level also learns where the labels change."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distill.float32 import float32
from edgekd.distill.pseudo import images_at
from edgekd.distill.resize import upsample
from edgekd.models import Network, Segmenter
from edgekd.models.heads.base import conv_bn_relu
from edgekd_runtime.errors import UsageError

FUSION = {1: 0.6, 2: 0.3, 4: 0.1}
"""Weight of each stride of the pyramid. The paper learns them; the public code keeps these, since a threshold passes no gradient."""
THRESHOLD = 0.1
SMOOTH = 1.0


@float32
def detail_targets(labels: Tensor) -> Tensor:
    """Where the label differs from those around it, at strides 1, 2 and 4 (section 3.4).

    The Laplacian of the label numbers, its negative side cut off, thresholded at each stride and again after the weighted sum; so
    stride 4 alone, whose weight is the threshold, marks nothing. Ignored pixels count as a label of their own, as in the public code.

    Args:
        labels: B×H×W.

    Returns:
        0 or 1, B×1×H×W.
    """
    kernel = torch.full((1, 1, 3, 3), -1.0, device=labels.device)
    kernel[..., 1, 1] = 8
    edges = (F.conv2d(labels[:, None].float(), kernel, padding=1) > THRESHOLD).float()
    pyramid = [weight * F.interpolate(edges[..., ::stride, ::stride], edges.shape[-2:]) for stride, weight in FUSION.items()]
    return (torch.stack(pyramid).sum(0) > THRESHOLD).float()


@float32
def detail_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy + dice loss against `detail_targets` (equations 1 and 2).

    Args:
        logits: B×1×h×w, resized to the labels'.
        labels: B×H×W.

    Returns:
        Scalar.
    """
    targets = detail_targets(labels).to(logits.dtype)
    logits = upsample(logits, (labels.shape[-2], labels.shape[-1]))
    shares = logits.sigmoid()
    overlap, total = (values.sum((1, 2, 3)) for values in (shares * targets, shares + targets))
    dice = 1 - (2 * overlap + SMOOTH) / (total + SMOOTH)
    return F.binary_cross_entropy_with_logits(logits, targets) + dice.mean()


class DetailGuidance(nn.Module):
    """`detail_loss` of a training-only head on the backbone's stride-8 level, as the student's last forward with gradients left it.

    The head belongs to this module, not to the student: it is trained with the objective, and neither kept nor exported.

    Args:
        student: Whose backbone is guided.
        weight: Of the loss.

    Raises:
        UsageError: If the student has no backbone with levels.
    """

    def __init__(self, student: Network, weight: float = 1.0) -> None:
        super().__init__()
        if not isinstance(student, Segmenter):
            raise UsageError(f"task.detail guides the stride-8 level of a HEAD-BACKBONE, and {student.name} is none; set it to 0.")
        levels = student.backbone.levels
        level = levels.at_stride(8)
        self.weight = weight
        self.head = nn.Sequential(conv_bn_relu(levels.channels[level], 64, 3), nn.Conv2d(64, 1, 1))
        seen: list[Tensor] = []

        # a plain function over a list, so that a copy of the student (its moving average) copies neither this module nor the map
        def keep(_backbone: nn.Module, _image: object, maps: list[Tensor]) -> None:
            if torch.is_grad_enabled():
                seen[:] = [maps[level]]

        student.backbone.register_forward_hook(keep)
        self._seen = seen

    def forward(self, labels: Tensor, images: Sequence[int] | None = None) -> Tensor:
        """Labels of these images of the batch, n×H×W → weighted loss; None = of all."""
        seen = self._seen.pop()
        return self.weight * detail_loss(self.head(seen if images is None else images_at(seen, images)), labels)
