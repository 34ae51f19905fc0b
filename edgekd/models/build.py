"""A network from its recipe, untrained or with the weights that the recipe names."""

from edgekd.config import ModelRecipe, nearest
from edgekd.models.heads import HEADS
from edgekd.models.network import Network
from edgekd.models.networks import NETWORKS
from edgekd.models.segmenter import Segmenter
from edgekd_runtime.errors import UsageError


def build_network(recipe: ModelRecipe, num_classes: int, in_channels: int = 3) -> Network:
    """Build what a recipe names.

    Args:
        recipe: `name` is ``head-backbone`` or a whole network of `edgekd.models.networks.NETWORKS`.
        num_classes: C.
        in_channels: 3, or 4 for LAD's teacher.

    Raises:
        UsageError: If there is none of that name.
    """
    if recipe.name in NETWORKS:
        return NETWORKS[recipe.name](recipe, num_classes, in_channels)
    if recipe.name.partition("-")[0] in HEADS:
        return Segmenter(recipe, num_classes, in_channels)
    known = nearest(recipe.name, [*NETWORKS, *HEADS])
    raise UsageError(f"Unknown model {recipe.name!r}: a name is HEAD-BACKBONE, heads are {', '.join(HEADS)}{known}")
