"""`edgekd methods --table`: whole, consistent, and made of commands that work."""

import json
import re
import shlex

import click
import pytest

from edgekd.cli import main
from edgekd.cli.options import recipe_from
from edgekd.distill.methods import method_recipe
from edgekd.distill.registry import build_transfer, transfer_names
from edgekd.distill.transfer import Widths
from edgekd.loading import shipped_recipes
from edgekd.parts import distillation_part, student_part, teacher_part


@pytest.fixture(scope="module")
def document():
    from click.testing import CliRunner

    return json.loads(CliRunner().invoke(main, ["methods", "--table", "--json"]).stdout)


def resolve(line):
    """The recipe that a command line would train."""
    program, verb, *words = shlex.split(line)
    assert program == "edgekd"
    options = main.get_command(click.Context(main), verb).make_context(verb, words).params
    pieces = [method_recipe(options["method"])] if options.get("method") else []
    return distillation_part(recipe_from(options, *pieces))


def test_every_row_has_its_recipe_and_every_recipe_its_row(document):
    named = {word for row in document["rows"] for line in row["commands"].values() for word in shlex.split(line) if "/" in word}
    assert sorted(named) == [name for name in shipped_recipes() if "/" in name]
    assert {row["recipe"] for row in document["rows"]} == {name for name in named if not name.endswith("-released")}
    for row in document["rows"]:
        assert set(row["miou"]) == set(row["commands"]) and row["data"].lower() in row["recipe"].replace("pascal_", "")
        assert row["paper"].lower().startswith(row["recipe"].partition("/")[0])
        assert ("scratch" in row["recipe"]) == ("not pretrained" in row["student"])


def test_every_command_resolves(document):
    lines = {line: row["recipe"] for row in document["rows"] for line in row["commands"].values()}
    lines |= {case["command"]: case["recipe"] for case in document["ablations"]}
    for line, name in lines.items():
        assert resolve(line).name.removesuffix("-released") == name.replace("/", "-")
    assert len(lines) > 150


def test_figures_that_the_papers_print_twice_agree(document):
    rows = {row["recipe"]: row["miou"] for row in document["rows"]}
    cases = {(case["recipe"], case["what"]): case["miou"] for case in document["ablations"]}
    rdd, fakd = "rdd/cityscapes-deeplabv3-resnet18", "fakd/ade20k-psp-resnet18"
    for what in ("TFE for 10 % of the run", "TSE XOR", "KD with RDD"):
        assert cases[rdd, what] == rows[rdd]["RDD"]
    assert cases[rdd, "TSE only"] == cases[rdd, "TFE for 0 % of the run"] and cases[rdd, "CIRKD"] == rows[rdd]["CIRKD"]
    assert cases[fakd, "CWD"] == rows[fakd]["CWD"]
    assert cases[fakd, "CWD, augmented"] == cases[fakd, "strength 1.0"] == rows[fakd]["FAKD"]


def test_every_student_gains_from_its_papers_method_and_none_passes_its_teacher(document):
    for row in document["rows"]:
        figures = {name: miou for name, miou in row["miou"].items() if miou is not None}
        own = next(figures[name] for name in ("FAKD", "RDD", "LAD as released") if name in figures)
        assert own == max(figures.values()) > figures["base"] and (row["teacher"] is None or own < row["teacher"])


def test_cwd_beside_rdd_is_the_whole_of_it(document):
    """PD 1 + features 50 + logits 3 + adversarial."""
    for row in document["rows"]:
        if row["recipe"].startswith("rdd/") and "CWD" in row["miou"]:
            transfers = resolve(row["commands"]["CWD"]).transfer
            built = [build_transfer(transfer, Widths(5, 8, 8))[0] for transfer in transfers]
            assert dict(zip(transfer_names(transfers), built, strict=True)) == {"pd": 1, "cwd": 3, "cwd-features": 50, "adversarial": 1}


def test_lad_as_released_tunes_a_trained_student_on(document):
    """A twentieth of the rate, a = 0.02, the label table, dropout 0.01, from the student and the teacher of the recipe from scratch."""
    for row in document["rows"]:
        if row["recipe"].startswith("lad/"):
            scratch, released = (resolve(row["commands"][f"LAD {name}"]) for name in ("from scratch", "as released"))
            assert released.train.lr == scratch.train.lr / 20 and (released.task.auxiliary, released.student.dropout) == (0.02, 0.01)
            assert released.teacher.label_weights == "table" and scratch.teacher.label_weights == "normal"
            assert scratch.train.start is scratch.teacher.run is None and scratch.teacher.label_assisted
            assert released.train.start == f"runs/{scratch.name}-{student_part(scratch).method}"
            assert released.teacher.run == f"runs/{scratch.name}-{teacher_part(scratch).method}"


def test_cwd_beside_fakd_has_fakds_weight(document):
    for row in document["rows"]:
        if row["recipe"].startswith("fakd/"):
            (cwd,) = resolve(row["commands"]["CWD"]).transfer
            assert (cwd.method, cwd.weight, cwd.options) == ("cwd", 10 if row["data"] == "ADE20K" else 5, {"temperature": 1})


def test_ablations_change_what_they_name(document):
    recipes = {case["what"]: resolve(case["command"]) for case in document["ablations"]}
    assert [recipes[f"TSE {mode.upper()}"].task.mode for mode in ("and", "or", "xor")] == ["and", "or", "xor"]
    assert recipes["TFE only"].task.warmup == 1 and recipes["TSE only"].task.warmup == 0
    assert recipes["threshold 0.65"].task.threshold == 0.65 and recipes["threshold 0.65"].task.min_kept == 0
    assert recipes["DSD"].task.weighting == "plain" and recipes["DSD with RDD"].task.weighting == "difficulty"
    assert recipes["strength 2.5"].transfer[0].options == {"strength": 2.5}


def test_the_text_is_the_same(document, edgekd):
    text = edgekd("methods", "--table").stdout
    for row in document["rows"]:
        for name, line in row["commands"].items():
            figure = "–" if row["miou"][name] is None else f"{row['miou'][name]:.2f}"
            assert re.search(rf"^ +{name} +{figure}  {re.escape(line)}$", text, re.MULTILINE), line
        assert len(row["differs"]) > 3 and all(f"    differs: {each}\n" in text for each in row["differs"])
    for case in document["ablations"]:
        assert f" {case['miou']:.2f}  {case['command']}\n" in text


def test_without_the_flag_the_methods_are_listed(edgekd):
    assert set(json.loads(edgekd("methods", "--json").stdout)) == {"methods", "transfers"}
    assert "label-assisted" in edgekd("methods").stdout
