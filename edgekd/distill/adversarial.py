"""The adversarial term of SKDS, IFVD and CWD: a SAGAN discriminator tells the teacher's score maps from the student's."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

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


def discriminator(num_classes: int, width: int = 64) -> nn.Sequential:
    """Four spectrally normalised 4×4 stride-2 convolutions, attention after the third and fourth, one realness map out.

    Args:
        num_classes: Channels of the score maps.
        width: Of the first layer.
    """
    layers: list[nn.Module] = []
    channels = num_classes
    for index, outputs in enumerate((width, 2 * width, 4 * width, 8 * width)):
        layers += [spectral_norm(nn.Conv2d(channels, outputs, 4, stride=2, padding=1)), nn.LeakyReLU(0.1)]
        layers += [SelfAttention(outputs)] if index >= 2 else []
        channels = outputs
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 3, padding=1))


class Adversarial(Transfer):
    """Hinge losses of both players in one backward pass.

    The generator's term sees the discriminator with its parameters switched off, the discriminator's term sees the score maps
    detached, so neither's gradient reaches the other. The loop gives `second_player` its own Adam.

    Args:
        widths: Channel counts.
        generator: Weight of the student's term.
        judge: Weight of the discriminator's term.
    """

    paper = "Liu et al. 2019; SAGAN, Zhang et al. 2019"
    summary = "a discriminator tells the teacher's score maps from the student's"
    default_weight = 1.0

    def __init__(self, widths: Widths, generator: NotNegative = 0.001, judge: NotNegative = 0.1) -> None:
        super().__init__()
        self.generator, self.judge = generator, judge
        self.discriminator = discriminator(widths.num_classes)

    @property
    def second_player(self) -> list[nn.Parameter]:
        """Parameters that an Adam of their own trains (4e-4, betas 0.9 and 0.99)."""
        return list(self.discriminator.parameters())

    def forward(self, pair: Pair) -> Tensor:
        fake, real = (_scores(logits) for logits in (pair.student.logits, pair.teacher.logits))
        self.discriminator.requires_grad_(False)
        generator = -self.discriminator(fake).mean()
        self.discriminator.requires_grad_(True)
        verdict_fake, verdict_real = self.discriminator(fake.detach()), self.discriminator(real.detach())
        judge = F.relu(1 - verdict_real).mean() + F.relu(1 + verdict_fake).mean()
        return self.generator * generator + self.judge * judge


def _scores(logits: Tensor) -> Tensor:
    """Softmax scores, grown to 32 pixels a side at least, so that four halvings leave something to judge."""
    height, width = logits.shape[-2:]
    scores = logits.float().softmax(1)
    if min(height, width) < 32:
        factor = 32 / min(height, width)
        scores = F.interpolate(scores, (round(height * factor), round(width * factor)), mode="bilinear", align_corners=True)
    return scores
