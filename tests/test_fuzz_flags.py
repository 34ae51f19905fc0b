"""Generated bad flags of verbs, here and on the device, over what the parsers themselves say they take. `pytest -m fuzz` runs these."""

import argparse
import json
import random

import click
import numpy as np
import pytest

from edgekd.cli import VERBS, main
from edgekd_runtime import cli as device
from edgekd_runtime.files import write_image
from edgekd_runtime.video import video_writer
from tests.fuzzing import ends_well
from tests.report.realistic import realistic
from tests.runtime.models import write_model

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(60)]
WORDS = [
    "",
    "-1",
    "0",
    "nan",
    "inf",
    "-inf",
    "1e308",
    "9" * 400,
    "../../x",
    "x" * 5000,
    "é",
    "1,2",
    "=",
    "a=b",
    "[",
    "{}",
    "*",
    "1x1",
    "0x0",
    "99999x99999",
    "/dev/full",
    "/dev/zero",
    "/",
    ".",
    "int8",
    "none",
    "\udce9",
    "%s",
    "-",
    "--",
    "a:b",
    ":",
    "0.5",
    "None",
]
ELSEWHERE = {"device", "serve", "seconds", "idle_seconds", "reconnect", "power", "trt"}
"""Options that go to other machines, or that may take as long as they ask for."""
SHORT = {
    "bundle": ["{model}", "--out", "out/a.pyz"],
    "inspect": ["{model}"],
    "report": ["r.json", "--out", "out/a.html"],
    "predict": ["images", "--model", "{model}", "--out", "out"],
    "demo": ["a.avi", "--model", "{model}", "--out", "out/a.avi"],
    "recipes": ["camvid"],
    "export": ["nowhere"],
    "calib": ["show", "nowhere"],
    "data": ["check", "folder", "nowhere"],
    "eval": ["nowhere"],
    "train": ["--recipe", "nowhere"],
    "distill": ["--recipe", "nowhere"],
    "adopt": ["nowhere.onnx", "--imgsz", "8x8", "--layout", "camvid", "--out", "out"],
    "bench": ["nowhere"],
    "fit": ["--recipe", "nowhere"],
}
"""Verbs with enough to get past their parser, and nothing that takes long."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with inputs, some levels down."""
    here = tmp_path / "a/b/c"
    write_image(here / "images/a.png", np.zeros((8, 8, 3), np.uint8))
    with video_writer(here / "a.avi", 10, (40, 56)) as write:
        for _ in range(2):
            write(np.zeros((40, 56, 3), np.uint8))
    (here / "r.json").write_text(json.dumps({"schema_version": 1, "measurements": [realistic(1)[0].to_json()]}))
    write_model(here / "fp32")
    monkeypatch.chdir(here)
    return here


def options_of(verb):
    """Names of the options of a verb, those of its first sub-command too."""
    command = main.get_command(click.Context(main), verb)
    if isinstance(command, click.Group):
        command = command.commands[SHORT[verb][0]]
    return [parameter for parameter in command.params if isinstance(parameter, click.Option) and parameter.name not in ELSEWHERE]


def given(options, chance):
    """Some of them with values that they were not made for."""
    for option in chance.sample(options, min(len(options), chance.randint(1, 3))):
        yield option.opts[-1] if not option.is_flag else chance.choice(option.opts)
        if not option.is_flag or chance.random() < 0.1:
            yield chance.choice(WORDS)


@pytest.mark.parametrize("seed", range(90))
def test_hosts_flags(place, seed):
    chance = random.Random(seed)
    verb = sorted(SHORT)[seed % len(SHORT)]
    words = [word.format(model="fp32/model.onnx") for word in SHORT[verb]]
    before = sorted(path for path in place.rglob("*") if path.is_file())
    code = ends_well([verb, *words, *given(options_of(verb), chance)], place, (0, 1, 2, 3))
    if code:
        assert {path for path in place.rglob("*") if path.is_file()} - set(before) <= {place / "kept"}


def test_every_verb_is_among_them_but_those_that_take_no_input():
    assert set(VERBS) - set(SHORT) == {"quickstart", "check", "models", "methods"}


@pytest.mark.parametrize("seed", range(40))
def test_devices_flags(place, seed, capfd):
    chance = random.Random(seed)
    verb = ("predict", "demo", "bench", "build")[seed % 4]
    parser = next(action for action in device.make_parser()._actions if isinstance(action, argparse._SubParsersAction)).choices[verb]
    words = ["nowhere"] if verb in ("bench", "build") else [word.format(model="fp32/model.onnx") for word in SHORT[verb]]
    options = [action for action in parser._actions if action.option_strings and action.dest not in {*ELSEWHERE, "help"}]
    for action in chance.sample(options, min(len(options), chance.randint(1, 3))):
        words += [action.option_strings[0], *([chance.choice(WORDS)] if action.nargs != 0 else [])]
    before = sorted(path for path in place.rglob("*") if path.is_file())
    code = device.main([verb, *words])
    said = capfd.readouterr().err
    assert code in (0, 1, 2, 3) and "Traceback" not in said and (code == 0 or "rror: " in said), (words, code, said)
    if code:
        assert {path for path in place.rglob("*") if path.is_file()} <= set(before)
