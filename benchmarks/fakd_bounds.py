"""How far FAKD's two CWD bounds lie above the loss that they bound, at several strengths λ.

python benchmarks/fakd_bounds.py [--out benchmarks/results/fakd-bounds.json]

The loss itself is sampled: student features drawn from N(s, λΣ) anew, the cross entropy form of CWD averaged over the draws. Features
are of classes apart from each other, Σ is diagonal, and the classifier's logits have a standard deviation of about 3.
"""

import argparse
import statistics
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgekd.distill.functional import augmented_channel_kd
from edgekd_runtime.files import write_json
from edgekd_runtime.measurement import describe_device

CLASSES, CHANNELS, HEIGHT, WIDTH, DRAWS = 11, 32, 24, 32, 3000
STRENGTHS = (0.1, 0.5, 1.0, 2.5)


def sampled(clean: Tensor, noise_of: Tensor, weight: Tensor, share: Tensor, generator: torch.Generator) -> tuple[float, float]:
    """Mean of the augmented loss, and its standard error."""
    losses = []
    for _ in range(DRAWS):
        noise = noise_of * torch.randn(noise_of.shape, generator=generator, dtype=torch.float64)
        z = clean + torch.einsum("ca,ahw->chw", weight, noise).flatten(1)
        losses.append(float(-(share * z.log_softmax(1)).sum(1).mean()))
    return statistics.fmean(losses), statistics.stdev(losses) / DRAWS**0.5


def row(strength: float) -> dict[str, Any]:
    """Both bounds over the sampled loss, and what they do to the gradient."""
    g = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    labels = torch.randint(0, CLASSES, (HEIGHT // 4, WIDTH // 4), generator=g).repeat_interleave(4, 0).repeat_interleave(4, 1)
    centres, variance, weight = rand(CLASSES, CHANNELS), 0.25 * rand(CLASSES, CHANNELS).square(), rand(CLASSES, CHANNELS) * 0.5
    features = centres[labels].permute(2, 0, 1) + variance[labels].sqrt().permute(2, 0, 1) * rand(CHANNELS, HEIGHT, WIDTH)
    clean = torch.einsum("ca,ahw->chw", weight, features)
    teacher = clean + rand(*clean.shape)
    loss, error = sampled(clean.flatten(1), (strength * variance[labels]).sqrt().permute(2, 0, 1), weight, teacher.flatten(1).softmax(1), g)
    result: dict[str, Any] = {"strength": strength, "sampled": loss, "standard_error": error, "logits_std": float(clean.std())}
    gradients = []
    for bound in ("paper", "tight"):
        z = clean[None].clone().requires_grad_()
        value = augmented_channel_kd(z, teacher[None], labels[None], weight, variance, strength, bound=bound)
        gradients.append(torch.autograd.grad(value, z)[0].flatten())
        result[bound] = float(value.detach())
        result[f"{bound}_above_percent"] = 100 * (result[bound] / loss - 1)
    result["gradients_cosine"] = float(torch.cosine_similarity(*gradients, dim=0))
    result["gradients_length_ratio"] = float(gradients[1].norm() / gradients[0].norm())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="benchmarks/results/fakd-bounds.json")
    rows = [row(strength) for strength in STRENGTHS]
    for each in rows:
        print("  ".join(f"{key} {value:.4g}" for key, value in each.items()))
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device() | {"torch": torch.__version__},
        "setting": {"classes": CLASSES, "channels": CHANNELS, "height": HEIGHT, "width": WIDTH, "draws": DRAWS},
        "rows": rows,
    }
    write_json(Path(parser.parse_args().out), document)


if __name__ == "__main__":
    main()
