"""Completion, as the shell asks click for it."""

import json

import pytest
from click.shell_completion import ShellComplete

from edgekd.cli import complete, main
from edgekd.distill.methods import METHODS
from edgekd.loading import shipped_recipes


def offered(words, incomplete):
    return [item.value for item in ShellComplete(main, {}, "edgekd", "_EDGEKD_COMPLETE").get_completions(words, incomplete)]


@pytest.mark.parametrize(
    ("words", "incomplete", "wanted"),
    [
        (["distill", "--method"], "fakd", [name for name in METHODS if name.startswith("fakd")]),
        (["recipes", "--method"], "rdd", ["rdd"]),
        (["train", "--recipe"], "cam", [name for name in shipped_recipes() if name.startswith("cam")] + ["cam"]),
        (["recipes"], "quick", ["quickstart", "quick"]),
        (["distill", "--student"], "pidnet", ["pidnet-s"]),
        (["distill", "--student"], "lras", ["lraspp-"]),
        (["models"], "fcn-resnet10", ["fcn-resnet101", "fcn-resnet101_clip", "fcn-resnet101_clip_gap", "fcn-resnet101c", "fcn-resnet101d"]),
        (["models"], "nothing-", []),
        ([], "distil", ["distill"]),
        (["distill"], "--teacher-s", ["--teacher-steps"]),
    ],
)
def test_names_are_offered(words, incomplete, wanted):
    found = offered(words, incomplete)
    assert set(wanted) <= set(found) and all(name.startswith(incomplete) for name in found) and bool(found) == bool(wanted)


def test_they_are_kept_until_a_version_changes_and_made_again_where_the_file_is_damaged(cache, monkeypatch):
    first = offered(["distill", "--method"], "")
    file = cache / complete.CACHE
    known = json.loads(file.read_text())
    assert set(first) == set(METHODS)
    file.write_text(json.dumps(known | {"methods": ["kept"]}))
    assert offered(["distill", "--method"], "") == ["kept"]
    for changed in ({"of": "edgekd 0.0.0"}, {"methods": 3}):
        file.write_text(json.dumps(known | changed))
        assert offered(["distill", "--method"], "") == first
