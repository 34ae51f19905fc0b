"""SKDS, structured knowledge distillation's pair-wise term (Liu et al. 2019)."""

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.float32 import float32
from edgekd.distill.transfer import Pair, Transfer


@float32
def pairwise_similarity(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Mean squared difference of the cosine maps between all positions after 2×2 max pooling (Liu et al. 2019, eq. 3–4).

    Args:
        student_features: B×A_s×h×w.
        teacher_features: B×A_t×h×w; the channel counts may differ.

    Returns:
        Scalar, 0 at identity.
    """
    s, t = (F.normalize(F.max_pool2d(f, 2, ceil_mode=True).flatten(2), dim=1) for f in (student_features, teacher_features))
    return F.mse_loss(s.mT @ s, t.mT @ t)


class PairwiseSimilarity(Transfer):
    """`pairwise_similarity` on the features."""

    paper = "Liu et al. 2019"
    summary = "pair-wise similarity of positions"
    default_weight = 10.0
    needs = frozenset({"features"})
    companions = ("pd", "adversarial")

    def forward(self, pair: Pair) -> Tensor:
        return pairwise_similarity(pair.student.features, pair.teacher.features)
