"""PP-LiteSeg-T and -B (Peng et al. 2022): the head ``ppliteseg`` on STDC1 and STDC2, under the names that they are known by."""

from edgekd.config import ModelRecipe
from edgekd.models.network import Network
from edgekd.models.segmenter import Segmenter


def pp_liteseg_t(recipe: ModelRecipe, num_classes: int, in_channels: int = 3) -> Network:
    """On STDC1, 32 channels at stride 8."""
    return _named(recipe, "stdc1", 32, num_classes, in_channels)


def pp_liteseg_b(recipe: ModelRecipe, num_classes: int, in_channels: int = 3) -> Network:
    """On STDC2, 64 channels at stride 8."""
    return _named(recipe, "stdc2", 64, num_classes, in_channels)


def _named(recipe: ModelRecipe, backbone: str, width: int, num_classes: int, in_channels: int) -> Network:
    known = {"name": f"ppliteseg-{backbone}", "head_channels": recipe.head_channels or width}
    network = Segmenter(recipe.model_copy(update=known), num_classes, in_channels)
    network.recipe = recipe
    return network
