"""Networks that take one size only: images are resized to it and dealt out in batches of its own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FixedInput(nn.Module):
    """A compiled network behind the sizes that it was compiled for.

    Args:
        call: B×3×H×W → logits, or a structure that holds them.
        batch: Images that it takes at once; None = any number.
        size: (H, W) that it takes; None = any.
    """

    def __init__(self, call: Callable[[Tensor], Any], batch: int | None, size: tuple[int, int] | None) -> None:
        super().__init__()
        self._call, self.batch, self.size = call, batch, size

    def forward(self, image: Tensor) -> Any:
        """B×3×H×W → what the network returns; of several batches the tensors are joined."""
        if self.size is not None and image.shape[-2:] != self.size:
            image = F.interpolate(image, self.size, mode="bilinear", align_corners=False, antialias=True)
        if self.batch is None or len(image) == self.batch:
            return self._call(image)
        missing = -len(image) % self.batch
        padded = torch.cat([image, image[-1:].expand(missing, -1, -1, -1)]) if missing else image
        return _join([self._call(part.contiguous()) for part in padded.split(self.batch)], len(image))


def _join(parts: list[Any], count: int) -> Any:
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(parts)[:count]
    if isinstance(first, dict):
        return {key: _join([part[key] for part in parts], count) for key in first}
    if isinstance(first, (list, tuple)):
        return [_join(list(items), count) for items in zip(*parts, strict=True)]
    return first
