"""The moving average of a model in training, which is what is evaluated and kept."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = tuple[Tensor, ...] | list[Tensor]


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of the model that follows it: v ← d·v + (1 − d)·w after every step, of weights and batch norm's statistics alike.

    d is `decay`, but at most (1 + t)/(10 + t) at step t, so that a run much shorter than 1/(1 − decay) steps does not keep its first
    weights. Whole numbers are copied.

    Args:
        model: What is averaged; its present state is the first.
        decay: From 0 to 1.
    """

    def follow(averaged: Tensors, latest: Tensors, count: Tensor | int) -> None:
        if not averaged[0].is_floating_point():
            torch._foreach_copy_(averaged, latest)
            return
        step = int(count)
        torch._foreach_lerp_(averaged, latest, 1 - min(decay, (1 + step) / (10 + step)))

    return AveragedModel(model, multi_avg_fn=follow, use_buffers=True)
