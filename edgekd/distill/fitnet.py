"""FitNet hints (Romero et al. 2015)."""

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distill.float32 import float32
from edgekd.distill.transfer import Pair, Transfer, Widths


@float32
def hint(student_features: Tensor, teacher_features: Tensor, projection: Tensor) -> Tensor:
    """Mean squared error between projected student and teacher features (Romero et al. 2015, eq. 3).

    Args:
        student_features: B×A_s×h×w.
        teacher_features: B×A_t×h×w.
        projection: 1×1 convolution weight, A_t×A_s×1×1.

    Returns:
        Scalar.
    """
    return F.mse_loss(F.conv2d(student_features, projection), teacher_features)


class FitNet(Transfer):
    """`hint` with a trained projection."""

    paper = "Romero et al. 2015"
    summary = "feature hints through a projection"
    default_weight = 10.0
    needs = frozenset({"features"})
    companions = ("pd",)

    def __init__(self, widths: Widths) -> None:
        super().__init__()
        self.projection = nn.Conv2d(widths.student, widths.teacher, 1, bias=False)

    def forward(self, pair: Pair) -> Tensor:
        return hint(pair.student.features, pair.teacher.features, self.projection.weight)
