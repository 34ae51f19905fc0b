"""The adversarial term of SKDS, IFVD and CWD: a SAGAN discriminator tells the teacher's logits from the student's."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from edgekd.distill.float32 import widened
from edgekd.distill.resize import upsample
from edgekd.distill.transfer import NotNegative, Pair, Transfer, Widths


class SelfAttention(nn.Module):
    """Self-attention of SAGAN (Zhang et al. 2019) with a learned gate that starts at 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key = nn.Conv2d(channels, channels // 8, 1), nn.Conv2d(channels, channels // 8, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).flatten(2).mT for layer in (self.query, self.key, self.value))
        return x + self.gate * F.scaled_dot_product_attention(q, k, v, scale=1.0).mT.reshape(x.shape)


Width = Annotated[int, Field(ge=2)]
SMALLEST = 64
"""Pixels on a side of the score maps that four halvings and a last 4×4 convolution leave something of."""


def discriminator(num_classes: int, width: int = 64) -> nn.Sequential:
    """Batch norm, four spectrally normalised 4×4 stride-2 convolutions, attention behind the third and fourth, one 4×4 to realness.

    Args:
        num_classes: Channels of the score maps.
        width: Of the first layer.
    """
    layers: list[nn.Module] = [nn.BatchNorm2d(num_classes)]
    channels = num_classes
    for index, outputs in enumerate((width, 2 * width, 4 * width, 8 * width)):
        layers += [spectral_norm(nn.Conv2d(channels, outputs, 4, stride=2, padding=1)), nn.LeakyReLU(0.1)]
        layers += [SelfAttention(outputs)] if index >= 2 else []
        channels = outputs
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4))


class Adversarial(Transfer):
    """Hinge losses of both players in one backward pass.

    The generator's term sees the discriminator with its parameters switched off, the discriminator's term sees the score maps
    detached, so neither's gradient reaches the other. The loop gives `second_player` its own Adam.

    Args:
        widths: Channel counts.
        generator: Weight of the student's term.
        judge: Weight of the discriminator's term.
        width: Channels of the discriminator's first layer.
    """

    paper = "Liu et al. 2019; SAGAN, Zhang et al. 2019"
    summary = "a discriminator tells the teacher's logits from the student's"
    default_weight = 1.0

    def __init__(self, widths: Widths, generator: NotNegative = 0.001, judge: NotNegative = 0.1, width: Width = 64) -> None:
        super().__init__()
        self.generator, self.judge = generator, judge
        self.discriminator = discriminator(widths.num_classes, width)

    @property
    def second_player(self) -> list[nn.Parameter]:
        """Parameters that an Adam of their own trains (4e-4, betas 0.9 and 0.99)."""
        return list(self.discriminator.parameters())

    def verdict(self, logits: Tensor) -> Tensor:
        """Realness map, in float32 or better."""
        return widened(self.discriminator(logits))

    def forward(self, pair: Pair) -> Tensor:
        fake, real = (_large_enough(logits) for logits in (pair.student.logits, pair.teacher.logits))
        self.discriminator.requires_grad_(False)
        generator = -self.verdict(fake).mean()
        self.discriminator.requires_grad_(True)
        verdict_fake, verdict_real = self.verdict(fake.detach()), self.verdict(real.detach())
        judge = F.relu(1 - verdict_real).mean() + F.relu(1 + verdict_fake).mean()
        return self.generator * generator + self.judge * judge


def _large_enough(logits: Tensor) -> Tensor:
    """Logits as they are, as published; resized only if a side is too small for the discriminator."""
    height, width = logits.shape[-2:]
    factor = max(1.0, SMALLEST / min(height, width))
    return upsample(widened(logits), (round(height * factor), round(width * factor)))
