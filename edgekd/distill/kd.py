"""PD, pixel-wise distillation: knowledge distillation (Hinton et al. 2015) at every pixel."""

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.float32 import float32
from edgekd.distill.transfer import Pair, Positive, Transfer


@float32
def pixel_kd(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T²·mean over B·h·w of KL(softmax(teacher/T) ‖ softmax(student/T)).

    Args:
        student: Logits B×C×h×w.
        teacher: Logits B×C×h×w.
        temperature: T.

    Returns:
        Scalar, 0 at identity.
    """
    log_s = F.log_softmax(student / temperature, 1)
    log_t = F.log_softmax(teacher / temperature, 1)
    return temperature**2 * (log_t.exp() * (log_t - log_s)).sum(1).mean()


class PixelKD(Transfer):
    """`pixel_kd` on the logits.

    Args:
        temperature: T.
    """

    paper = "Hinton et al. 2015"
    summary = "pixel-wise distillation of the logits"
    default_weight = 1.0

    def __init__(self, temperature: Positive = 1.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, pair: Pair) -> Tensor:
        return pixel_kd(pair.student.logits, pair.teacher.logits, self.temperature)
