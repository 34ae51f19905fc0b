"""What the shell completes besides options: methods, recipes and models. The names need PyTorch, so they are kept in the user's cache."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version

import click
from click.shell_completion import CompletionItem

from edgekd_runtime import __version__
from edgekd_runtime.errors import EdgeKDError

MOST = 300
"""Names offered at a time."""
CACHE = "completion.json"


def methods(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Shorthands of `--method`."""
    return _offer(_names().methods, incomplete)


def recipes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Recipes that ship, and files."""
    from edgekd.loading import shipped_recipes

    return [*_offer(shipped_recipes(), incomplete), CompletionItem(incomplete, type="file")]


def models(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Whole networks and heads; after a head, its backbones."""
    names = _names()
    head, dash, _ = incomplete.partition("-")
    if dash and head in names.heads:
        return _offer((f"{head}-{backbone}" for backbone in names.backbones), incomplete)
    return _offer([*names.networks, *(f"{head}-" for head in names.heads)], incomplete)


def calibrations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Calibration methods of INT8."""
    from edgekd_calib.ranges import METHODS

    return _offer(METHODS, incomplete)


def sources(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Runs and files, for a teacher is usually one."""
    return [CompletionItem(incomplete, type="file")]


def _offer(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)][:MOST]


@dataclass(frozen=True)
class _Names:
    """The cache: of which versions, and what they have."""

    of: str
    methods: list[str]
    heads: list[str]
    networks: list[str]
    backbones: list[str]


def _names() -> _Names:
    """Of the versions that are installed, read from the cache or made once."""
    from edgekd_runtime.files import read_json, user_cache, write_json
    from edgekd_runtime.typed import typed

    file, of = user_cache() / CACHE, f"edgekd {__version__}, timm {version('timm')}"
    with suppress(EdgeKDError):
        known = typed(_Names, read_json(file), str(file), "it is made again")
        if known.of == of:
            return known
    import timm

    from edgekd.distill.methods import METHODS
    from edgekd.models.heads import HEADS
    from edgekd.models.networks import NETWORKS

    made = _Names(of, list(METHODS), list(HEADS), list(NETWORKS), list(timm.list_models()))
    with suppress(EdgeKDError):  # then they are made again
        write_json(file, asdict(made))
    return made
