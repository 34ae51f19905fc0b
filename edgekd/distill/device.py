"""What a step may do without making a GPU wait for the host: looking at a value there stops both until they have met."""

import torch
from torch import Tensor


def may_look(value: Tensor) -> bool:
    """Whether the host may ask for a value and decide by it: on the CPU it is there anyway."""
    return value.device.type == "cpu"


def to_device(value: Tensor, device: torch.device) -> Tensor:
    """What was drawn or counted on the host, on the device; from pinned memory, so that nothing waits for the copy."""
    if device.type == "cuda":
        return value.pin_memory().to(device, non_blocking=True)
    return value.to(device, non_blocking=True)


def one_hot(classes: Tensor, count: int) -> Tensor:
    """Bool …×`count`; classes from `count` on have no mark. `torch.nn.functional.one_hot` may look at the values first."""
    return classes[..., None] == torch.arange(count, device=classes.device)
