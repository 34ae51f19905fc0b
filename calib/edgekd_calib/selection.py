"""Which images stand for a data set: few, covering every class, the same for the same seed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.errors import EdgeKDError


def class_shares(label: NDArray[np.uint8], num_classes: int) -> NDArray[np.float64]:
    """Share of the image's pixels a class, length C; ignored pixels belong to none."""
    return np.bincount(label.ravel(), minlength=256)[:num_classes] / label.size


def covering_images(shares: Sequence[NDArray[np.float64]], count: int, seed: int = 0) -> list[int]:
    """Choose images so that every class is seen as evenly as they allow.

    Greedy: each pick maximises Σ_c √(pixels of class c so far + its own), a concave gain, so that classes
    still unseen count most; ties fall to a seeded random order.

    Args:
        shares: `class_shares` of each image.
        count: How many to choose; all of them where there are fewer.
        seed: Of the order among equals.

    Returns:
        Indices in the order chosen, no index twice.

    Raises:
        EdgeKDError: If there is no image or `count` is below 1.
    """
    if not len(shares) or count < 1:
        raise EdgeKDError(f"Can't choose {count} of {len(shares)} images; give at least one labelled image and ask for at least one.")
    table = np.stack(shares)
    order = np.random.default_rng(seed).permutation(len(table))
    chosen: list[int] = []
    total = np.zeros(table.shape[1])
    for _ in range(min(count, len(table))):
        gain = np.sqrt(total + table[order]).sum(1)
        gain[np.isin(order, chosen)] = -1.0
        best = int(order[int(gain.argmax())])
        chosen.append(best)
        total += table[best]
    return chosen
