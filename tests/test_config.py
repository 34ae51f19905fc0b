"""Recipes: overrides, extension, errors, and the shipped ones."""

import pytest

from edgekd.config import Recipe
from edgekd.loading import RECIPES, assignment, dump_recipe, load_recipe, merge, validate
from edgekd_runtime.errors import UsageError


@pytest.mark.parametrize("name", sorted(file.stem for file in RECIPES.glob("*.yaml")))
def test_shipped_recipes_load_and_survive_the_round_trip(name, tmp_path):
    recipe = load_recipe(name)
    (tmp_path / "again.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "again.yaml") == recipe


def test_a_recipe_extends_another(tmp_path):
    (tmp_path / "mine.yaml").write_text("extends: camvid\nname: mine\ntrain: {steps: 7}\n")
    recipe, base = load_recipe(tmp_path / "mine.yaml"), load_recipe("camvid")
    assert recipe.name == "mine" and recipe.train.steps == 7 and recipe.train.lr == base.train.lr and recipe.data == base.data


def test_extending_oneself_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text(f"extends: {tmp_path}/a.yaml\n")
    with pytest.raises(UsageError, match="circle"):
        load_recipe(tmp_path / "a.yaml")


def test_a_key_is_added_to_a_source_that_is_a_name():
    named = {"teacher": {"source": "hf:somebody/net"}}
    recipe = load_recipe("quickstart", [named, assignment("teacher.source.trust=true")])
    assert (recipe.teacher.source.name, recipe.teacher.source.trust) == ("hf:somebody/net", True)


def test_assignments_are_yaml():
    assert merge(assignment("train.steps=5"), assignment("train.lr=1e-2")) == {"train": {"steps": 5, "lr": "1e-2"}}
    assert load_recipe("camvid", [assignment("train.lr=1e-2")]).train.lr == 0.01
    for wrong in ("steps", "=5", "a=[1"):
        with pytest.raises(UsageError, match="--set"):
            assignment(wrong)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.stepz=5", r"camvid: unknown key 'train.stepz'; did you mean 'steps'"),
        ("trian.steps=5", r"unknown key 'trian'; did you mean 'train'"),
        ("train.steps=0", r"train.steps: input should be greater than or equal to 1, not 0"),
        ("train.optimizer=adam", r"train.optimizer: input should be 'sgd' or 'adamw', not 'adam'"),
        ("data.size=[64]", r"data.size.1"),
        ("data.size=[31,64]", r"data.size.0: input should be greater than or equal to 32, not 31"),
        ("data.scale=[0.5,.inf]", r"data.scale.1: input should be a finite number"),
        ("train.lr=.nan", r"train.lr: "),
        ("train.seed=9223372036854775807", r"train.seed: input should be less than 4294967296"),
        ("task.class_weights=[1,-1]", r"task.class_weights.1: input should be greater than or equal to 0"),
        ("task.class_weights=[0,0]", r"class_weights are all 0"),
        (
            "task.class_weights=median",
            r"task.class_weights: input should be 'auto', 'median-frequency' or 'effective-number', not 'median'",
        ),
        ("transfer=[{method: cwd, weight: .inf}]", r"weight: input should be a finite number"),
        ("teacher.model.nam=x", r"unknown key 'teacher.model.nam'; did you mean 'name'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(override, message):
    with pytest.raises(UsageError, match=message):
        load_recipe("camvid", [assignment(override)])


def test_unknown_recipes_and_broken_files(tmp_path):
    with pytest.raises(UsageError, match="did you mean 'camvid'"):
        load_recipe("camvit")
    for text in ("a: [", "- 1", "name: x"):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(UsageError, match=r"a\.yaml"):
            load_recipe(tmp_path / "a.yaml")


def test_missing_sections_are_named():
    with pytest.raises(UsageError, match="student: field required"):
        validate(Recipe, {"name": "x", "data": {"layout": "camvid", "size": [64, 64]}}, "x")


@pytest.mark.parametrize(
    "override", ["train.precision=16", "train.precision=32", "name=5", "data.root=2024", "teacher.run=7", "data.train=2017"]
)
def test_a_number_is_a_word_where_one_is_wanted(override):
    """YAML reads `16` as a number; a precision, a folder or a split may be called so."""
    section, _, key = override.partition("=")[0].rpartition(".")
    recipe = load_recipe("camvid", [assignment(override)])
    assert getattr(getattr(recipe, section) if section else recipe, key) == override.partition("=")[2]


def test_a_precision_that_is_none_is_still_refused():
    for wrong in ("8", "true", "16.5"):
        with pytest.raises(UsageError, match="precision: input should be '32', 'bf16' or '16'"):
            load_recipe("camvid", [assignment(f"train.precision={wrong}")])
