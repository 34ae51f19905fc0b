"""Af-DCD (Fan et al. 2023, arXiv 2312.04168): masked student features regrow the teacher's, and contrast with them in every patch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distill.float32 import float32, widened
from edgekd.distill.processes import process_rank, world_size
from edgekd.distill.transfer import Count, NotNegative, Pair, Positive, Share, Transfer, Widths

PUBLISHED = {"camvid": (33.0, 0.01, 1), "voc": (8.4, 0.005, 4), "ade20k": (8.4, 0.04, 4), "coco_stuff": (42.0, 0.005, 4)}
CITYSCAPES = (33.0, 0.005, 4)
"""Weights of mimicking and contrast, and the pooling, by layout, of the public scripts. There mimicking is a sum over an image's
2048 channels and h×w positions, with weights from 1e-6 to 8e-6; here it is a mean, so each weight is times that many elements."""


@float32
def dense_contrast(student: Tensor, teacher: Tensor, groups: int = 16, patch: int = 4, temperature: float = 0.07) -> Tensor:
    """InfoNCE between the channel groups of all positions of a patch, similarity −L1/τ (Fan et al. 2023, omni-contrasting).

    A sample is one group of channels at one position. Its positive is the teacher's same sample; its negatives are the teacher's
    samples of the other groups at all positions of the patch. The same group elsewhere is neither, as in the public code.

    Args:
        student: Features B×A×h×w.
        teacher: Features B×A×h×w.
        groups: M; channels that do not fill a group are left out.
        patch: Side of a patch in positions; rows and columns that do not fill one are left out, and a smaller map is one patch.
        temperature: τ.

    Returns:
        Scalar: summed over the groups of a position, mean over positions and images.
    """
    groups = min(groups, student.shape[1])
    s, t = (_samples(features, groups, patch) for features in (student, teacher))
    similarity = -torch.cdist(s, t, p=1) / temperature
    group = torch.arange(s.shape[1], device=s.device) % groups
    same = group[:, None] == group
    left_out = same & ~torch.eye(len(group), dtype=torch.bool, device=s.device)
    rows = similarity.masked_fill(left_out, -torch.inf).logsumexp(2) - similarity.diagonal(dim1=1, dim2=2)
    return groups * rows.mean()


def _samples(features: Tensor, groups: int, patch: int) -> Tensor:
    """Patches × (positions·groups) × channels of a group."""
    width = features.shape[1] // groups
    rows, columns = (min(patch, side) for side in features.shape[-2:])
    down, across = features.shape[-2] // rows, features.shape[-1] // columns
    whole = features[:, : groups * width, : down * rows, : across * columns]
    parts = whole.reshape(len(features), groups, width, down, rows, across, columns)
    return parts.permute(0, 3, 5, 4, 6, 1, 2).reshape(-1, rows * columns * groups, width)


class DenseContrast(Transfer):
    """Masked feature mimicking and `dense_contrast` on what a small generator makes of the student's features.

    The features are those that enter the classifier; the public code takes the backbone's last stage.

    Args:
        widths: Channel counts.
        mimic: Weight of the mean squared difference to the teacher's features; None = the published one of the data layout.
        contrast: Weight of `dense_contrast`; None = the published one of the data layout.
        mask: Share of the positions that the generator does not see.
        temperature: τ.
        groups: M.
        patch: Side of a patch.
        pool: Side of the max pooling before the contrast; None = the published one of the data layout, less where the map would not
            hold a patch.
    """

    paper = "Fan et al. 2023 (Af-DCD)"
    summary = "masked features regrow the teacher's, and contrast with them over channels and positions"
    default_weight = 1.0
    needs = frozenset({"features"})
    companions = ("pd",)

    def __init__(
        self,
        widths: Widths,
        mimic: NotNegative | None = None,
        contrast: NotNegative | None = None,
        mask: Share = 0.75,
        temperature: Positive = 0.07,
        groups: Count = 16,
        patch: Count = 4,
        pool: Count | None = None,
    ) -> None:
        super().__init__()
        published = PUBLISHED.get(widths.layout, CITYSCAPES)
        self.mimic = published[0] if mimic is None else mimic
        self.contrast = published[1] if contrast is None else contrast
        self.pool = published[2] if pool is None else pool
        self.mask, self.temperature, self.groups, self.patch = mask, temperature, groups, patch
        self.drawn = int(torch.randint(2**62, ()))  # masks so far, from where this run began to count; on the host, so no GPU waits for it
        self.align = nn.Conv2d(widths.student, widths.teacher, 1)
        self.generator = nn.Sequential(
            nn.Conv2d(widths.teacher, widths.teacher, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(widths.teacher, widths.teacher, 3, padding=1),
        )

    def forward(self, pair: Pair) -> Tensor:
        aligned, teacher = self.align(pair.student.features), widened(pair.teacher.features)
        grown = widened(self.generator(aligned * self._seen(aligned)))
        pool = max(1, min(self.pool, *(side // self.patch for side in teacher.shape[-2:])))
        pooled = F.max_pool2d(grown, pool), F.max_pool2d(teacher, pool)
        contrast = dense_contrast(pooled[0], pooled[1], self.groups, self.patch, self.temperature)
        return self.mimic * F.mse_loss(grown, teacher) + self.contrast * contrast

    def get_extra_state(self) -> Tensor:
        """For the checkpoint: `drawn`."""
        return torch.tensor(self.drawn)

    def set_extra_state(self, state: Tensor) -> None:
        self.drawn = int(state)

    def _seen(self, features: Tensor) -> Tensor:
        """0 at the masked positions and 1 elsewhere, B×1×h×w. An image's mask comes from its number in the run alone."""
        images, first = len(features), self.drawn + process_rank() * len(features)
        generators = [torch.Generator(features.device).manual_seed(first + index) for index in range(images)]
        shares = [torch.rand(1, *features.shape[-2:], generator=generator, device=features.device) for generator in generators]
        if self.training:
            self.drawn += world_size() * images
        return (torch.stack(shares) >= self.mask).to(features)
