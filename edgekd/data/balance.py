"""How a split's pixels are spread over the classes, and what follows from it: class weights, and which samples show rare classes."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgekd.config import DataRecipe, Recipe
from edgekd.console import progress
from edgekd.data import open_training
from edgekd.data.layout import Layout
from edgekd.data.scan import scan
from edgekd_runtime.errors import EdgeKDError

Counts = NDArray[np.int64]
"""Pixels, images × (C+1): of each class and, last, of what is ignored."""


def count_pixels(layout: Layout, data: DataRecipe) -> Counts:
    """Pixels of each class in every sample of the training split; only files that changed since the last scan are read.

    Args:
        layout: The training split, open.
        data: Its recipe.

    Raises:
        EdgeKDError: If a sample can't be read; names the file.
    """
    with progress("counting the classes") as update:
        rows = scan(layout, data.layout, data.train, data.root, update, data.options)
    for row in rows:
        if row.fault:
            raise EdgeKDError(row.fault)
    return np.stack([row.counts for row in rows]).astype(np.int64)


def median_frequency(counts: Counts) -> NDArray[np.float64]:
    """Median of the class frequencies over each class's own (Eigen & Fergus 2015).

    A class's frequency is its share of the pixels of those images that show it, ignored pixels among them.
    """
    own = counts[:, :-1]
    shown = (own > 0).astype(np.int64).T @ counts.sum(1)
    frequency = own.sum(0) / np.maximum(1, shown)
    return np.median(frequency[shown > 0]) / np.where(shown > 0, frequency, 1)


def effective_number(counts: Counts, beta: float = 0.999) -> NDArray[np.float64]:
    """(1−β)/(1−βⁿ) of each class, scaled to a mean of 1 over the classes shown (Cui et al. 2019).

    n counts the images that show the class, not its pixels: those of one image repeat each other, which is what the effective
    number is about, and with millions of them all weights would be equal.
    """
    images = (counts[:, :-1] > 0).sum(0)
    weights = (1 - beta) / (1 - beta ** np.maximum(1, images))
    return weights / weights[images > 0].mean()


WEIGHTS: dict[str, Callable[[Counts], NDArray[np.float64]]] = {
    "auto": median_frequency,
    "median-frequency": median_frequency,
    "effective-number": effective_number,
}


def class_weights(name: str, counts: Counts) -> list[float]:
    """Weights of the classes by a key of `WEIGHTS`, to four decimals; 1 for a class that the split never shows.

    Raises:
        EdgeKDError: If nothing is labelled.
    """
    shown = counts[:, :-1].any(0)
    if not shown.any():
        raise EdgeKDError("The training split has no labelled pixel, so its class weights can't be computed; give them as a list.")
    return [round(float(weight), 4) for weight in np.where(shown, WEIGHTS[name](counts), 1)]


def with_class_weights(recipe: Recipe) -> Recipe:
    """The recipe with the numbers of its class weights, from the labels of its training split where it names a rule."""
    if not isinstance(name := recipe.task.class_weights, str):
        return recipe
    weights = class_weights(name, count_pixels(open_training(recipe), recipe.data))
    return recipe.model_copy(update={"task": recipe.task.model_copy(update={"class_weights": weights})})


class RareClasses:
    """Which classes are rare, and which samples show them.

    Args:
        counts: Of the training split.

    Attributes:
        chances: Of each class, softmax((1 − frequency)/0.01) over the classes shown (rare class sampling, Hoyer et al. 2022).
    """

    TEMPERATURE = 0.01

    def __init__(self, counts: Counts) -> None:
        total = counts[:, :-1].sum(0)
        frequency = total / max(1, total.sum())
        chances = np.where(total > 0, np.exp((frequency[total > 0].min(initial=1) - frequency) / self.TEMPERATURE), 0)
        self.chances = chances / max(1e-300, chances.sum())
        self._samples = [np.flatnonzero(column) for column in counts[:, :-1].T]

    def draw(self, generator: np.random.Generator) -> int | None:
        """A sample that shows a class drawn by `chances`; None where nothing is labelled."""
        if not self.chances.any():
            return None
        return int(generator.choice(self._samples[generator.choice(len(self.chances), p=self.chances)]))
