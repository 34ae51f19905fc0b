"""The recipe lines of a candidate: a file that `edgekd distill --recipe` takes as it is, with no more in it than changes."""

from pathlib import Path
from typing import Any

import yaml

from edgekd.config import ModelRecipe, Recipe
from edgekd.fit.candidate import Candidate
from edgekd.loading import find_recipe, shipped_recipes
from edgekd.models.segmenter import head_of

BASE = "camvid"
"""What the lines extend where no recipe is given: what `edgekd distill` trains by default."""
_KEPT = ("auxiliary", "dropout", "dropout_of", "batch_norm")
"""What a recipe says of any student, whatever its name."""
_WEIGHTS = "# student.weights: timm starts from ImageNet weights (downloads once)\n"


def recipe_lines(candidate: Candidate, base_name: str, base: Recipe) -> str:
    """YAML of a recipe that trains this candidate as another recipe trains its own student.

    Args:
        candidate: What.
        base_name: How that recipe was named: shipped, a file, or a run.
        base: What it says.
    """
    own = candidate.model.name == base.student.name
    kept = base.student.model_dump(mode="json", exclude={"output_stride", "head_channels"} if own else None)
    shape = {"output_stride": candidate.model.output_stride, "head_channels": candidate.model.head_channels}
    wanted = ModelRecipe(**{**candidate.model.model_dump(), **(kept if own else {key: kept[key] for key in _KEPT}), **shape})
    before, after = (model.model_dump(mode="json") for model in (base.student, wanted))
    student = {"name": wanted.name} | {key: value for key, value in after.items() if value != before[key]}
    document: dict[str, Any] = {
        "extends": base_name if base_name in shipped_recipes() else str(find_recipe(base_name).resolve()),
        "data": {"size": list(candidate.size)},
        "student": student,
    }
    comment = _WEIGHTS if head_of(wanted.name) and wanted.weights is None else ""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, default_flow_style=None) + comment


def lines_file(folder: Path) -> Path:
    """Where the lines are kept."""
    return folder / "recipe.yaml"
