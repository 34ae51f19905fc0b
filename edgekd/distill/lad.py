"""LAD, label-assisted distillation (arXiv 2407.13254): a teacher of the student's size that is shown a noised label."""

from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.distill.float32 import float32

TRAIN_SIGMA, DISTILL_SIGMA = 0.03, 0.02
NORMALIZED_GAIN = 100 / 58
"""g for mean/std-normalised images; 100 is for un-normalised 0–255 input."""


def label_gain(std: Tensor) -> float:
    """G for a network's input: that of 0–255 where its standard deviation is one grey level, else that of normalised images."""
    return 100.0 if float(std.flatten()[0]) < 0.01 else NORMALIZED_GAIN


@float32
def noise_label(labels: Tensor, class_weights: Tensor, pixel_noise: Tensor, gain: float = 100.0, sigma: float = 0.03) -> Tensor:
    """The label noising module: l = g·(w[b, y] + s·ε), one table look-up.

    Args:
        labels: B×H×W; 255 (or anything from C on) is ignore, which is class C.
        class_weights: w, B×(C+1), of each image and class, ignore last.
        pixel_noise: ε, B×1×H×W.
        gain: g.
        sigma: s.

    Returns:
        B×1×H×W, the network's fourth input channel.
    """
    classes = labels.clamp(max=class_weights.shape[1] - 1).flatten(1)
    return torch.add(class_weights.gather(1, classes).view_as(pixel_noise), pixel_noise, alpha=sigma).mul_(gain)


class LabelNoiser(nn.Module):
    """Draws w and ε and noises labels.

    Args:
        num_classes: C.
        weights: ``normal`` draws w ~ N(0, 1) fresh for each image; ``table`` spaces the C+1 classes evenly over [−1.1, 1.0],
            which is the public code's table at C = 21.
        gain: g.
        sigma: s.
    """

    table: Tensor | None

    def __init__(
        self, num_classes: int, *, weights: Literal["normal", "table"] = "normal", gain: float = NORMALIZED_GAIN, sigma: float = TRAIN_SIGMA
    ) -> None:
        super().__init__()
        self.num_classes, self.gain, self.sigma = num_classes, gain, sigma
        table = torch.linspace(-1.1, 1.0, num_classes + 1) if weights == "table" else None
        self.register_buffer("table", table, persistent=False)

    def forward(self, labels: Tensor, seed: int) -> Tensor:
        """Labels B×H×W → B×1×H×W, the images' noise drawn from `seed`, `seed` + 1, …; `sample_seed` gives one in training."""
        generators = [torch.Generator(labels.device).manual_seed(seed + index) for index in range(len(labels))]
        if self.table is None:
            weights = _normal(generators, self.num_classes + 1)
        else:
            weights = self.table.to(labels.device).expand(len(labels), -1)
        return noise_label(labels, weights, _normal(generators, 1, *labels.shape[-2:]), self.gain, self.sigma)


def _normal(generators: list[torch.Generator], *shape: int) -> Tensor:
    """N(0, 1), one item a generator."""
    return torch.stack([torch.randn(shape, generator=generator, device=generator.device) for generator in generators])


def with_label(image: Tensor, noised_label: Tensor) -> Tensor:
    """Normalised image B×3×H×W and noised label B×1×H×W → the label-assisted network's input B×4×H×W."""
    return torch.cat([image, noised_label.to(image)], 1)
