"""CWD, channel-wise distillation (Shu et al. 2021): where a channel looks, not how much."""

from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distill.float32 import float32
from edgekd.distill.transfer import Pair, Positive, Transfer, Widths


@float32
def channel_kd(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """T²/(B·C)·Σ over images and channels of KL between softmaxes over positions (Shu et al. 2021, eq. 3–4).

    Args:
        student: B×C×h×w.
        teacher: B×C×h×w.
        temperature: T.

    Returns:
        Scalar, 0 at identity.
    """
    log_s = F.log_softmax(student.flatten(2) / temperature, 2)
    log_t = F.log_softmax(teacher.flatten(2) / temperature, 2)
    return temperature**2 * (log_t.exp() * (log_t - log_s)).sum(2).mean()


class ChannelKD(Transfer):
    """`channel_kd` on the logits, or on features through a 1×1 projection to the teacher's width.

    Args:
        widths: Channel counts.
        temperature: T.
        maps: ``logits`` or ``features`` (published weight 50; divides by the student's channels, as the public code does).
    """

    paper = "Shu et al. 2021"
    summary = "channel-wise distillation of the logits"
    default_weight = 3.0

    def __init__(self, widths: Widths, temperature: Positive = 4.0, maps: Literal["logits", "features"] = "logits") -> None:
        super().__init__()
        self.temperature = temperature
        self.projection = nn.Conv2d(widths.student, widths.teacher, 1, bias=False) if maps == "features" else None
        if maps == "features":
            self.default_weight = 50.0  # type: ignore[misc]  # published for this form alone

    @classmethod
    def reads(cls, **options: Any) -> frozenset[str]:
        return frozenset({"features"} if options.get("maps") == "features" else ())

    def forward(self, pair: Pair) -> Tensor:
        if self.projection is None:
            return channel_kd(pair.student.logits, pair.teacher.logits, self.temperature)
        loss = channel_kd(self.projection(pair.student.features), pair.teacher.features, self.temperature)
        return loss * self.projection.out_channels / self.projection.in_channels
