"""`deploy/jetson` names commands, files and extras that exist. Nothing of it has run on a Jetson."""

import configparser
import re
import shlex
import signal
from importlib import import_module
from pathlib import Path

import click
import pytest

from edgekd_runtime.bundle import Bundle
from edgekd_runtime.cli import make_parser
from edgekd_runtime.signals import SIGNALS

ROOT = Path(__file__).parents[2]
JETSON = ROOT / "deploy/jetson"
README = (JETSON / "README.md").read_text(encoding="utf-8")
CONTAINERS = sorted(JETSON.glob("Containerfile.*"))
BLOCKS = [line for block in re.findall(r"```\n(.*?)```", README, re.S) for line in block.splitlines()]
HOST = [line for line in BLOCKS if line.startswith("edgekd ")]
BOARD = [line.partition("student.pyz ")[2] for line in BLOCKS if "student.pyz " in line and line not in HOST]


@pytest.mark.parametrize("line", HOST)
def test_a_command_of_the_workstation_parses(line):
    verb, *words = shlex.split(line)[1:]
    command: click.Command = import_module(f"edgekd.cli.{verb}").command
    command.make_context(verb, words)


@pytest.mark.parametrize("line", BOARD)
def test_a_command_of_the_board_parses(line, tmp_path):
    make_parser(Bundle(tmp_path, 0)).parse_args(shlex.split(line))


def test_there_are_commands_and_their_files():
    assert len(HOST) == 4 and len(BOARD) == 5 and len(CONTAINERS) == 2
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (JETSON / target).exists(), target


@pytest.mark.parametrize("file", CONTAINERS, ids=lambda file: file.suffix)
def test_containers_copy_and_install_what_there_is(file):
    text = file.read_text()
    assert "Not run here" in text and re.search(r"^FROM nvcr\.io/nvidia/[\w-]+:[\w.-]+$", text, re.M)  # a version, not `latest`
    for source, target in re.findall(r"^COPY (\S+) (\S+)", text, re.M):
        packaging = (ROOT / source / "pyproject.toml").read_text()
        extra = re.search(rf"'{target}\[(\w+)\]'", text)[1]
        assert re.search(rf"^{extra} = ", packaging, re.M)
    assert f"-f {file.relative_to(ROOT)} " in text
    entry = re.search(r'^ENTRYPOINT \["python3", "-m", "(\w+)"\]\nCMD \["(\w+)"\]', text, re.M)
    make_parser().parse_args([entry[2]])
    import_module(f"{entry[1]}.__main__")


def test_the_service_runs_a_command_that_parses_and_stops_it_by_a_signal_that_is_heard(tmp_path):
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str
    unit.read(JETSON / "edgekd-demo.service")
    program, bundle, *words = shlex.split(unit["Service"]["ExecStart"])
    assert program == "/usr/bin/python3" and bundle.endswith("student.pyz")
    given = make_parser(Bundle(tmp_path, 0)).parse_args(words)
    assert given.reconnect > 0 and Path(given.out).is_relative_to(unit["Service"]["WorkingDirectory"])
    assert getattr(signal, unit["Service"]["KillSignal"]) in SIGNALS
