"""Completion, as the shell asks click for it."""

import json

import click
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
        (["calib", "make", "--method"], "m", ["minmax", "mse"]),
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


def options(command, path=()):
    """Of every verb, and of the verbs below it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from options(command.get_command(context, name), (*path, name))
    else:
        yield from ((path, option) for option in command.params if isinstance(option, click.Option))


def test_every_option_of_these_names_completes():
    completed = {"--recipe", "--method", "--student", "--teacher", "--candidate", "--calib-method"}
    found = [(path, option) for path, option in options(main) if completed & set(option.opts)]
    assert len(found) > 8
    for path, option in found:
        assert option._custom_shell_complete is not None, f"{' '.join(path)} {option.opts[0]}"


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
