"""`--method` shorthands: each is teacher × task weighting × transfers, as a piece of recipe. Data only."""

from typing import Any

from edgekd.config import nearest
from edgekd_runtime.errors import UsageError

_PD = {"method": "pd"}
_ADVERSARIAL = {"method": "adversarial"}

METHODS: dict[str, dict[str, Any]] = {
    "none": {"transfer": []},
    "pd": {"transfer": [_PD]},
    "cwd": {"transfer": [{"method": "cwd"}]},
    "fakd": {"transfer": [{"method": "fakd-cwd"}]},
    "fakd-pd": {"transfer": [{"method": "fakd-pd"}]},
    "rdd": {"task": {"weighting": "difficulty"}, "transfer": [_PD]},
    "lad": {"teacher": {"label_assisted": True}, "transfer": [{"method": "cwd"}]},
    "skds": {"transfer": [{"method": "skds"}, _PD, _ADVERSARIAL]},
    "ifvd": {"transfer": [{"method": "ifvd"}, _PD, _ADVERSARIAL]},
    "cirkd": {"transfer": [{"method": "cirkd"}, _PD]},
    "at": {"transfer": [{"method": "at"}, _PD]},
    "dsd": {"transfer": [{"method": "dsd"}]},
    "fitnet": {"transfer": [{"method": "fitnet"}, _PD]},
    "all": {
        "teacher": {"label_assisted": True},
        "task": {"weighting": "difficulty"},
        "transfer": [{"method": "fakd-cwd"}],
    },
}

SUMMARIES = {
    "none": "no transfer: the student alone, with the task weighting of the recipe",
    "pd": "pixel-wise distillation of the logits",
    "cwd": "channel-wise distillation of the logits",
    "fakd": "CWD with augmented student features in closed form",
    "fakd-pd": "PD with augmented student features in closed form",
    "rdd": "task loss weighted by relative difficulty, PD beside it",
    "lad": "label-assisted teacher of the student's size, CWD from it",
    "skds": "pair-wise similarity, PD, adversarial term",
    "ifvd": "intra-class feature variation, PD, adversarial term",
    "cirkd": "cross-image relations in the batch and to two memories, PD",
    "at": "attention transfer, PD",
    "dsd": "pixel-wise and category-wise similarity",
    "fitnet": "feature hints through a projection, PD",
    "all": "LAD teacher, RDD weighting, FAKD-CWD transfer: untried in any paper",
}


def method_recipe(name: str) -> dict[str, Any]:
    """The piece of recipe that a shorthand stands for.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in METHODS:
        raise UsageError(f"Unknown method {name!r}{nearest(name, METHODS)}; `edgekd methods` lists them.")
    return METHODS[name]
