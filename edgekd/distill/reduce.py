"""Sums over all processes, so that two processes compute what one would."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor
from torch import distributed as dist

_alone = ContextVar("_alone", default=False)


@contextmanager
def each_process_alone() -> Iterator[None]:
    """Within it nothing is summed or gathered: every process is the only one."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def _together() -> bool:
    return dist.is_available() and dist.is_initialized() and not _alone.get()


def world_size() -> int:
    """Number of processes; 1 without torch.distributed."""
    return dist.get_world_size() if _together() else 1


def process_rank() -> int:
    """Of this process among them; 0 without torch.distributed."""
    return dist.get_rank() if _together() else 0


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of `value` over all processes, without a gradient; itself where there is one process."""
    value = value.detach()
    if world_size() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def sum_with_gradient(value: Tensor) -> Tensor:
    """The sum of `value` over all processes; what all of them make of it has its whole gradient after DDP's average."""
    if world_size() == 1:
        return value
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(value)


def gather_over_processes(value: Tensor) -> Tensor:
    """The values of all processes, of equal shapes, joined along the first dimension in rank order; without a gradient."""
    value = value.detach()
    if world_size() == 1:
        return value
    parts = [torch.empty_like(value) for _ in range(world_size())]
    dist.all_gather(parts, value.contiguous())
    return torch.cat(parts)


def kth_smallest(values: Tensor, k: int) -> Tensor:
    """The k-th smallest of all processes' values, 1 ≤ k ≤ their number. A selection: nothing is sorted whole."""
    if world_size() > 1:
        kept = values.new_full((k,), float("inf"))
        own = values.topk(min(k, len(values)), largest=False, sorted=False).values
        kept[: len(own)] = own
        values = gather_over_processes(kept)
    return values.kthvalue(k).values


def sample_seed(images: int, device: torch.device) -> int:
    """A seed for the first of this process's `images`, the next one's is one more: equal however a batch is dealt out."""
    seed = torch.randint(2**62, ())
    if world_size() > 1:
        seed = seed.to(device)
        dist.broadcast(seed, 0)
        return int(seed) + process_rank() * images
    return int(seed)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean under weights ≥ 0, which are summed over all processes; 0 where all are 0. Gradients as of `masked_mean`."""
    total = sum_over_processes(weights.sum()) / world_size()
    return torch.where(weights > 0, values * weights, torch.zeros_like(values)).sum() / total.clamp_min(1e-12)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the pixels of a mask, counted over all processes; 0 for an empty mask.

    The local sum is divided by the mean count a process, so that DDP's average of gradients is the gradient of the global mean.
    """
    count = sum_over_processes(mask.sum()) / world_size()
    return torch.where(mask, values, torch.zeros_like(values)).sum() / count.clamp_min(1 / world_size())
