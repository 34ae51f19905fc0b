"""The moving average of a model in training, which is what is evaluated and kept."""

from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class MovingAverage(AveragedModel):
    """A copy of a model that follows it: v ← d·v + (1 − d)·w after every step, of weights and batch norm's statistics alike.

    d is `decay`, but at most (1 + t)/(10 + t) at step t, so that a run much shorter than 1/(1 − decay) steps does not keep its first
    weights. Whole numbers are copied. The steps are counted on the host, or every one of them would wait for the device.

    Args:
        model: What is averaged; its present state is the first.
        decay: From 0 to 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, use_buffers=True)
        self._decay = decay
        self._steps: int | None = 0  # of `n_averaged`, which checkpoints keep; None = to be read
        self.register_load_state_dict_post_hook(_read_again)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Follow the model by one step."""
        if self._steps is None:
            self._steps = int(self.n_averaged)
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        lerped = [pair for pair in pairs if pair[0].is_floating_point() and self._steps]
        copied = [pair for pair in pairs if not (pair[0].is_floating_point() and self._steps)]
        if copied:
            torch._foreach_copy_([own for own, _ in copied], [latest for _, latest in copied])
        if lerped:
            follow = 1 - min(self._decay, (1 + self._steps) / (10 + self._steps))
            torch._foreach_lerp_([own for own, _ in lerped], [latest for _, latest in lerped], follow)
        self.n_averaged += 1
        self._steps += 1


def _read_again(average: Any, keys: object) -> None:
    """After a checkpoint was loaded."""
    average._steps = None


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    return [*(parameter.detach() for parameter in model.parameters()), *model.buffers()]
