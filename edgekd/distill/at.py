"""AT, attention transfer (Zagoruyko & Komodakis 2017)."""

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.float32 import float32
from edgekd.distill.transfer import Pair, Transfer


def attention(features: Tensor) -> Tensor:
    """L2-normalised attention map, B×(h·w), of features B×A×h×w: vec(mean over channels of f²)."""
    return F.normalize(features.pow(2).mean(1).flatten(1), dim=1)


@float32
def attention_transfer(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Mean squared difference of the attention maps (Zagoruyko & Komodakis 2017, eq. 2).

    Args:
        student_features: B×A_s×h×w.
        teacher_features: B×A_t×h×w; the channel counts may differ.

    Returns:
        Scalar, 0 at identity.
    """
    return F.mse_loss(attention(student_features), attention(teacher_features))


class AttentionTransfer(Transfer):
    """`attention_transfer` on the features."""

    paper = "Zagoruyko & Komodakis 2017"
    summary = "attention transfer"
    default_weight = 1e4
    needs = frozenset({"features"})
    companions = ("pd",)

    def forward(self, pair: Pair) -> Tensor:
        return attention_transfer(pair.student.features, pair.teacher.features)
