"""A network from its recipe."""

from edgekd.config import ModelRecipe
from edgekd.models.heads import HEADS
from edgekd.models.network import Network
from edgekd.models.networks import NETWORKS
from edgekd.models.segmenter import Segmenter, head_of
from edgekd.models.sources import SOURCES, source_of
from edgekd_runtime.errors import UsageError
from edgekd_runtime.nearest import nearest


def build_network(recipe: ModelRecipe, num_classes: int | None, in_channels: int = 3, *, pretrained: bool = True) -> Network:
    """Build what a recipe names: a whole network, ``head-backbone``, or a network from elsewhere.

    Args:
        recipe: Its name, a key of `NETWORKS`, ``head-backbone``, or of one of `edgekd.models.sources.SOURCES`.
        num_classes: C; None = as many as a network from elsewhere has.
        in_channels: 3, or 4 for LAD's teacher.
        pretrained: Load or fetch the weights that the recipe names; False before others are loaded.

    Raises:
        UsageError: If there is none of that name, or the number of classes has to be said.
    """
    source = source_of(recipe.name)
    if source is not None:
        return source.build(recipe, num_classes, in_channels, pretrained)
    if num_classes is None:
        raise UsageError(f"{recipe.name} is built for a number of classes, so a teacher of that name has to be trained: give its run.")
    if not pretrained:
        recipe = recipe.model_copy(update={"weights": None})
    if recipe.name in NETWORKS:
        return NETWORKS[recipe.name](recipe, num_classes, in_channels)
    if head_of(recipe.name):
        return Segmenter(recipe, num_classes, in_channels)
    known = f"HEAD-BACKBONE, heads are {', '.join(HEADS)}{nearest(recipe.name, NETWORKS) or nearest(recipe.name.partition('-')[0], HEADS)}"
    elsewhere = "; ".join(f"{source.title}, e.g. {source.example}" for source in SOURCES)
    raise UsageError(f"Unknown model {recipe.name!r}: a name is {known}. From elsewhere: {elsewhere}.")
