"""The documentation says what the code has."""

import importlib.util
from pathlib import Path

import click
from pydantic import BaseModel

from edgekd.cli import main
from edgekd.config import Recipe
from edgekd_runtime import errors

ROOT = Path(__file__).parents[1]


def hooks():
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs/hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sections(kind: type[BaseModel] = Recipe) -> list[type[BaseModel]]:
    """A recipe's sections, to any depth."""
    inner = [model for field in kind.model_fields.values() for model in hooks()._models(field.annotation)]
    return [kind, *(one for model in inner for one in sections(model))]


def test_every_key_of_a_recipe_is_documented_beside_itself_and_in_the_reference():
    reference = hooks().recipe_reference()
    for kind in dict.fromkeys(sections()):
        for name, field in kind.model_fields.items():
            assert field.description and field.description.rstrip().endswith((".", ")")), f"{kind.__name__}.{name}"
            assert f"{name}` |" in reference, f"{kind.__name__}.{name}"


def test_every_exit_code_is_listed():
    table = hooks().exit_codes()
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EdgeKDError)}
    assert all(f"| {code} |" in table for code in codes | {0})


def test_every_page_is_in_the_navigation():
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert all(f": {file.name}" in navigation for file in (ROOT / "docs").glob("*.md"))


def alone(words: str) -> bool:
    """Whether a text stands without what is written beside it."""
    return bool(words) and words.split()[0] not in ("Of", "Its", "That", "Likewise.", "Names")


def test_every_key_and_option_is_described_by_itself():
    for kind in dict.fromkeys(sections()):
        told = [field.description for field in kind.model_fields.values()]
        assert len(set(told)) == len(told) and all(map(alone, told)), kind.__name__
    commands = {name: main.get_command(click.Context(main), name) for name in main.list_commands(click.Context(main))}
    for name, command in commands.items():
        verbs = [command, *getattr(command, "commands", {}).values()]
        for option in (one for verb in verbs for one in verb.params if isinstance(one, click.Option)):
            assert alone(option.help or ""), f"{name} {option.opts}: {option.help}"
