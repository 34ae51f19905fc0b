"""A trained run, once for all tests of the folder that do not change it."""

import pytest

from edgekd import parts, pipeline
from edgekd.config import Recipe
from edgekd.data import open_split
from edgekd.loading import validate
from tests.conftest import TINY


@pytest.fixture(scope="package")
def trained(tmp_path_factory):
    """(run folder, recipe, training and validation split)."""
    learns = TINY["train"] | {"steps": 60, "val_every": 60, "optimizer": "adamw", "lr": 0.005}
    recipe = parts.student_part(validate(Recipe, TINY | {"train": learns}, "tiny"))
    folder = tmp_path_factory.mktemp("trained") / "run"
    pipeline.train(recipe, folder)
    return folder, recipe, (open_split(recipe, "train"), open_split(recipe))
