"""Rows grouped by class in blocks of equal height, so that one batched product serves all classes.

On a GPU only the device knows how many rows a class has, and nobody waits for it to say so: the number of blocks is then a bound that
holds for any labels, and every class is taken to be there.
"""

import torch
from torch import Tensor

from edgekd.distill.device import may_look


class Grouped:
    """N rows sorted by class and laid into blocks, each of one class and padded with zeros.

    Args:
        classes: N, each below `count`.
        count: Classes there may be.
        height: Rows a block.

    Attributes:
        classes: P, the class of each group: those that are there, or all.
        owner: The group of each block; of a block without a row, any.
    """

    def __init__(self, classes: Tensor, count: int, height: int) -> None:
        order = classes.argsort(stable=True)
        group = classes[order]
        sizes = torch.zeros(count, dtype=torch.long, device=classes.device).scatter_add_(0, classes, torch.ones_like(classes))
        self.classes = torch.arange(count, device=classes.device)
        if may_look(classes):
            self.classes = self.classes[sizes > 0]
            group, sizes = torch.searchsorted(self.classes, group), sizes[self.classes]
        blocks = (sizes + height - 1).div(height, rounding_mode="floor")
        last = blocks.cumsum(0)
        rank = torch.arange(len(classes), device=classes.device) - (sizes.cumsum(0) - sizes)[group]
        self._order, self._place, self._height = order, (last - blocks)[group] * height + rank, height
        self._bound = int(blocks.sum()) if may_look(classes) else len(classes) // height + count
        ends = torch.arange(self._bound, device=classes.device)
        self.owner = torch.searchsorted(last, ends, right=True).clamp_max(len(self.classes) - 1)

    def lay(self, rows: Tensor) -> Tensor:
        """N×A → blocks×height×A."""
        flat = rows.new_zeros(self._bound * self._height, rows.shape[1]).index_copy(0, self._place, rows[self._order])
        return flat.view(self._bound, self._height, rows.shape[1])

    def total(self, blocks: Tensor) -> Tensor:
        """Sum of the blocks of each group: blocks×… → P×…."""
        member = (self.owner == torch.arange(len(self.classes), device=blocks.device)[:, None]).to(blocks)
        return (member @ blocks.flatten(1)).view(len(self.classes), *blocks.shape[1:])
