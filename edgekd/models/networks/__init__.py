"""Whole networks from their papers. `NETWORKS` is the list: to add one, write its file and a line here."""

from collections.abc import Callable

from edgekd.config import ModelRecipe
from edgekd.models.network import Network

NETWORKS: dict[str, Callable[[ModelRecipe, int, int], Network]] = {}
"""Name → (recipe, number of classes, input channels) → network."""
