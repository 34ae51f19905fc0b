"""The README's and the documentation's commands are ones that the command line takes."""

import re
import shlex
from pathlib import Path

import click
import pytest

from edgekd.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(file.read_text(encoding="utf-8") for file in sorted((ROOT / "docs").glob("*.md")))]
LINES = [line for page in PAGES for line in page.replace("\\\n", " ").splitlines()]
COMMANDS = [line.split(" #")[0].strip() for line in LINES if re.match(r"\s*edgekd [a-z]", line)]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_parses(line):
    words = shlex.split(line)[1:]
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        name = words.pop(0)
        command = command.get_command(context, name)
        assert command is not None, name
    command.make_context(name, words)


def test_there_are_commands_and_their_files():
    assert len(COMMANDS) > 8
    for target in re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", README):
        assert (ROOT / target).exists(), target


def test_make_has_the_targets():
    targets = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (quickstart|test|install|lint)", README):
        assert f"\n{target}: " in targets
