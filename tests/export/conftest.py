"""A trained run, once for all tests of the folder that do not change it."""

import pytest

from edgekd import pipeline
from edgekd.config import Recipe, validate
from tests.conftest import TINY


@pytest.fixture(scope="package")
def trained(tmp_path_factory):
    """(run folder, recipe, training and validation split)."""
    learns = TINY["train"] | {"steps": 60, "val_every": 60, "optimizer": "adamw", "lr": 0.005}
    recipe = pipeline.student_part(validate(Recipe, TINY | {"train": learns}, "tiny"))
    folder = tmp_path_factory.mktemp("trained") / "run"
    pipeline.train(recipe, folder)
    return folder, recipe, (pipeline.open_split(recipe, "train"), pipeline.open_split(recipe))
