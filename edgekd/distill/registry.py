"""The transfers by name. To add one: write its file and a line here."""

from inspect import signature

from edgekd.config import TransferRecipe, nearest
from edgekd.distill.adversarial import Adversarial
from edgekd.distill.at import AttentionTransfer
from edgekd.distill.cirkd import CrossImageSimilarity
from edgekd.distill.cwd import ChannelKD
from edgekd.distill.dsd import DoubleSimilarity
from edgekd.distill.fakd import AugmentedChannelKD, AugmentedPixelKD
from edgekd.distill.fitnet import FitNet
from edgekd.distill.ifvd import IntraClassVariation
from edgekd.distill.kd import PixelKD
from edgekd.distill.skds import PairwiseSimilarity
from edgekd.distill.transfer import Transfer, Widths
from edgekd_runtime.errors import UsageError

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
    "adversarial": Adversarial,
}


def transfer_class(recipe: TransferRecipe) -> type[Transfer]:
    """The class of a transfer, its options checked by name.

    Raises:
        UsageError: If the method or an option is unknown.
    """
    if recipe.method not in TRANSFERS:
        raise UsageError(f"Unknown transfer {recipe.method!r}{nearest(recipe.method, TRANSFERS)}; `edgekd methods` lists them.")
    kind = TRANSFERS[recipe.method]
    known = [name for name in signature(kind).parameters if name != "widths"]
    for option in recipe.options:
        if option not in known:
            raise UsageError(
                f"The transfer {recipe.method} has no option {option!r}{nearest(option, known)}; it has: {', '.join(known) or 'none'}."
            )
    return kind


def build_transfer(recipe: TransferRecipe, widths: Widths) -> tuple[float, Transfer]:
    """The weight and the module of a transfer.

    Raises:
        UsageError: If the method or an option is unknown or has a wrong value.
    """
    kind = transfer_class(recipe)
    own = {"widths": widths} if "widths" in signature(kind).parameters else {}
    module = kind(**own, **recipe.options)
    published = module.data_weights.get(widths.layout, module.default_weight)
    return published if recipe.weight is None else recipe.weight, module
