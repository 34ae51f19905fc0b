"""Learning rate by step."""

from edgekd.config import TrainRecipe


def lr_factor(step: int, train: TrainRecipe) -> float:
    """Poly decay (1 − step/steps)^power, under a linear warm-up."""
    decay = (1 - step / train.steps) ** train.power
    warmup = min(1.0, (step + 1) / train.warmup_steps) if train.warmup_steps else 1.0
    return decay * warmup
