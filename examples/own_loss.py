"""A transferred loss of one's own, without a fork: `edgekd distill --method own_loss:CosineLogits`, run from this folder."""

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.transfer import Pair, Transfer


class CosineLogits(Transfer):
    """1 − cosine similarity of student and teacher logits at each position, mean over positions."""

    paper = "none"
    summary = "direction of the logits at each position"
    default_weight = 1.0

    def forward(self, pair: Pair) -> Tensor:
        return 1 - F.cosine_similarity(pair.student.logits.float(), pair.teacher.logits.float(), dim=1).mean()
