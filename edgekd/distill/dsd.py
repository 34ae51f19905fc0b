"""DSD, double similarity distillation (Feng et al. 2021): pixel-wise (PSD) and category-wise (CSD)."""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.at import attention
from edgekd.distill.float32 import float32
from edgekd.distill.resize import upsample
from edgekd.distill.transfer import NotNegative, Pair, Transfer


@float32
def double_similarity(student_stages: Sequence[Tensor], teacher_stages: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """PSD: how attention differs between each two stages; CSD: how classes overlap in space.

    Args:
        student_stages: [aux_logits, features, logits], each B×·×h×w; other sizes are resized to the logits'.
        teacher_stages: Likewise.

    Returns:
        (pixel, category), both 0 at identity.
    """
    student_stages, teacher_stages = (
        [upsample(stage, _size(stages[-1])) for stage in stages] for stages in (student_stages, teacher_stages)
    )
    pixel = torch.stack(
        [F.mse_loss(s, t) for s, t in zip(_attention_changes(student_stages), _attention_changes(teacher_stages), strict=True)]
    ).mean()
    return pixel, F.mse_loss(_category_gram(student_stages[-1]), _category_gram(teacher_stages[-1]))


def _size(stage: Tensor) -> tuple[int, int]:
    return stage.shape[-2], stage.shape[-1]


def _attention_changes(stages: Sequence[Tensor]) -> list[Tensor]:
    maps = [attention(stage) for stage in stages]
    return [F.normalize(first - second, dim=1) for first, second in combinations(maps, 2)]


def _category_gram(logits: Tensor) -> Tensor:
    p = F.softmax(F.avg_pool2d(logits, 2, ceil_mode=True).flatten(2) / 4, 2)
    return p @ p.mT


class DoubleSimilarity(Transfer):
    """PSD and CSD with their published weights.

    Args:
        pixel: Weight of PSD.
        category: Weight of CSD.
    """

    paper = "Feng et al. 2021"
    summary = "pixel-wise and category-wise similarity"
    default_weight = 1.0
    needs = frozenset({"auxiliary", "features"})

    def __init__(self, pixel: NotNegative = 1000.0, category: NotNegative = 10.0) -> None:
        super().__init__()
        self.pixel, self.category = pixel, category

    def forward(self, pair: Pair) -> Tensor:
        stages = []
        for output in (pair.student, pair.teacher):
            if output.aux_logits is None:
                raise ValueError("DSD needs auxiliary logits of both models")
            stages.append([output.aux_logits, output.features, output.logits])
        pixel, category = double_similarity(*stages)
        return self.pixel * pixel + self.category * category
