"""`--method` shorthands: each is teacher × task weighting × transfers, as a piece of recipe. Every transfer is one too."""

from typing import Any

from edgekd.distill.registry import TRANSFERS
from edgekd_runtime.errors import UsageError
from edgekd_runtime.nearest import nearest
from edgekd_runtime.plugins import is_reference

_PD = {"method": "pd"}

COMPOSED: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("no transfer: the student alone, with the task weighting of the recipe", {"transfer": []}),
    "rdd": ("task loss weighted by relative difficulty, PD beside it", {"task": {"weighting": "difficulty"}, "transfer": [_PD]}),
    "lad": (
        "LAD from scratch: label-assisted teacher of the student's size, CWD from it",
        {"teacher": {"label_assisted": True}, "transfer": [{"method": "cwd"}]},
    ),
    "fakd": ("the paper's default form, fakd-cwd", {"transfer": [{"method": "fakd-cwd"}]}),
    "cwd-whole": (
        "CWD as in the tables of CIRKD and RDD: on logits and features, PD, adversarial term",
        {"transfer": [_PD, {"method": "cwd"}, {"method": "cwd", "name": "cwd-features", "maps": "features"}, {"method": "adversarial"}]},
    ),
    "all": (
        "LAD teacher, RDD weighting, FAKD-CWD transfer: untried in any paper",
        {"teacher": {"label_assisted": True}, "task": {"weighting": "difficulty"}, "transfer": [{"method": "fakd-cwd"}]},
    ),
}
"""Summary and piece of recipe of what is more than one transfer with its companions."""

METHODS: dict[str, dict[str, Any]] = {
    **{name: piece for name, (_, piece) in COMPOSED.items()},
    **{name: {"transfer": [{"method": each} for each in (name, *kind.companions)]} for name, kind in TRANSFERS.items()},
}
SUMMARIES = {
    **{name: summary for name, (summary, _) in COMPOSED.items()},
    **{name: kind.summary + (f"; with {' and '.join(kind.companions)}" if kind.companions else "") for name, kind in TRANSFERS.items()},
}


def method_recipe(name: str) -> dict[str, Any]:
    """The piece of recipe that a shorthand stands for; ``package.module:Name`` is one transfer of one's own.

    Raises:
        UsageError: If there is none of that name.
    """
    if is_reference(name):
        return {"transfer": [{"method": name}]}
    if name not in METHODS:
        raise UsageError(f"Unknown method {name!r}{nearest(name, METHODS)}; `edgekd methods` lists them.")
    return METHODS[name]
