"""Sums over all processes, so that two processes compute what one would."""

import torch
from torch import Tensor
from torch import distributed as dist


def world_size() -> int:
    """Number of processes; 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of `value` over all processes, without a gradient; itself where there is one process."""
    value = value.detach()
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the pixels of a mask, counted over all processes; 0 for an empty mask.

    The local sum is divided by the mean count a process, so that DDP's average of gradients is the gradient of the global mean.
    """
    count = sum_over_processes(mask.sum()) / world_size()
    return torch.where(mask, values, torch.zeros_like(values)).sum() / count.clamp_min(1 / world_size())
