"""The transfers by name. To add one: write its file and a line here."""

from collections.abc import Sequence
from functools import cache
from inspect import signature
from itertools import count
from typing import Any, get_type_hints

from pydantic import ConfigDict, create_model

from edgekd.config import Strict, TransferRecipe
from edgekd.distill.adversarial import Adversarial
from edgekd.distill.afdcd import DenseContrast
from edgekd.distill.at import AttentionTransfer
from edgekd.distill.bpkd import BoundaryKD
from edgekd.distill.cirkd import CrossImageSimilarity
from edgekd.distill.cwd import ChannelKD
from edgekd.distill.dist import CorrelationKD
from edgekd.distill.dsd import DoubleSimilarity
from edgekd.distill.fakd import AugmentedChannelKD, AugmentedPixelKD
from edgekd.distill.fitnet import FitNet
from edgekd.distill.ifvd import IntraClassVariation
from edgekd.distill.kd import PixelKD
from edgekd.distill.skds import PairwiseSimilarity
from edgekd.distill.transfer import Transfer, Widths
from edgekd.loading import validate
from edgekd_runtime.errors import UsageError
from edgekd_runtime.plugins import look_up

TASK_PARTS = ("task", "auxiliary", *(f"auxiliary{index}" for index in range(2, 10)), "dice", "boundary", "pseudo", "detail")
TRANSFERS: dict[str, type[Transfer]] = {
    "pd": PixelKD,
    "cwd": ChannelKD,
    "fakd-pd": AugmentedPixelKD,
    "fakd-cwd": AugmentedChannelKD,
    "skds": PairwiseSimilarity,
    "ifvd": IntraClassVariation,
    "cirkd": CrossImageSimilarity,
    "at": AttentionTransfer,
    "dsd": DoubleSimilarity,
    "fitnet": FitNet,
    "dist": CorrelationKD,
    "bpkd": BoundaryKD,
    "afdcd": DenseContrast,
    "adversarial": Adversarial,
}


def transfer_class(recipe: TransferRecipe) -> type[Transfer]:
    """The class of a transfer, its options checked.

    Raises:
        UsageError: If the method or an option is unknown, or an option's value is wrong.
    """
    kind: type[Transfer] = look_up(recipe.method, TRANSFERS, "transfer", "edgekd methods")
    if not (isinstance(kind, type) and issubclass(kind, Transfer)):
        raise UsageError(f"{recipe.method} is no edgekd.distill.transfer.Transfer; see docs/extending.md.")
    validate(_options_model(kind), recipe.options, f"transfer {recipe.method}")
    return kind


def transfer_reads(recipe: TransferRecipe) -> frozenset[str]:
    """What a transfer reads besides the logits, of `NEEDS`.

    Raises:
        UsageError: As `transfer_class`.
    """
    return transfer_class(recipe).reads(**recipe.options)


def transfer_names(recipes: Sequence[TransferRecipe]) -> list[str]:
    """A name of its own for each: the recipe's, or the method's, numbered from the second one on.

    Raises:
        UsageError: If two have the same name, or one that a loss part of the task has.
    """
    names = [recipe.name for recipe in recipes]
    for name in filter(None, names):
        if names.count(name) > 1:
            raise UsageError(f"Two transfers have the name {name!r}; give each a name of its own.")
        if name in TASK_PARTS:
            raise UsageError(f"A transfer can't have the name {name!r}, which is another loss part's; choose another.")
    for index, recipe in enumerate(recipes):
        if names[index] is None:
            plain = recipe.method.rpartition(":")[2].replace(".", "-")  # names of submodules have no dots
            numbered = (plain if number == 1 else f"{plain}-{number}" for number in count(1))
            names[index] = next(name for name in numbered if name not in names and name not in TASK_PARTS)
    return [str(name) for name in names]


class _Options(Strict):
    """Strict, and without a search for docstrings through the source of every loaded module."""

    model_config = ConfigDict(use_attribute_docstrings=False)


@cache
def _options_model(kind: type[Transfer]) -> type[Strict]:
    """The constructor's parameters as a strict model."""
    hints = get_type_hints(kind.__init__, include_extras=True)
    fields: dict[str, Any] = {
        name: (hints[name], parameter.default) for name, parameter in signature(kind).parameters.items() if name != "widths"
    }
    return create_model(kind.__name__, __base__=_Options, **fields)


def build_transfer(recipe: TransferRecipe, widths: Widths) -> tuple[float, Transfer]:
    """The weight and the module of a transfer.

    Raises:
        UsageError: If the method or an option is unknown, or an option's value is wrong.
    """
    kind = transfer_class(recipe)
    own = {"widths": widths} if "widths" in signature(kind).parameters else {}
    module = kind(**own, **recipe.options)
    published = module.data_weights.get(widths.layout, module.default_weight)
    return published if recipe.weight is None else recipe.weight, module
