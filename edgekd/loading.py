"""Reading and writing recipes: YAML in, one clear sentence out when something is wrong."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from edgekd.bounded_yaml import LONGEST, parse_yaml
from edgekd.config import Recipe
from edgekd_runtime.errors import UsageError
from edgekd_runtime.files import require_file
from edgekd_runtime.nearest import nearest
from edgekd_runtime.trust import name_by_user

RECIPES = Path(__file__).parent / "recipes"
RECIPE_FILE = "recipe.yaml"
"""The resolved recipe in a run folder."""

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        UsageError: If the file is missing, no YAML, or no mapping.
    """
    try:
        require_file(path)
        with path.open(encoding="utf-8") as file:
            document = parse_yaml(file.read(LONGEST + 1))
    except OSError as error:
        raise UsageError(f"Can't read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path} must hold keys and values, not a {type(document).__name__}.")
    return document


def validate(model: type[Model], document: dict[str, Any], source: str) -> Model:
    """Check a document against a model.

    Raises:
        UsageError: Naming the source, the key and the mend.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        fault = error.errors()[0]
        keys = _without_tags(fault["loc"], document)
        if fault["type"] == "extra_forbidden":
            hint = nearest(keys[-1], _fields_at(model, keys[:-1]))
            raise UsageError(f"{source}: unknown key {'.'.join(keys)!r}{hint}") from error
        message = fault["msg"].removeprefix("Value error, ")
        given = "" if fault["type"] == "missing" or isinstance(fault["input"], dict) else f", not {fault['input']!r}"
        raise UsageError(": ".join([source, *filter(None, [".".join(keys)]), f"{message[0].lower()}{message[1:]}{given}."])) from error


def _without_tags(location: tuple[int | str, ...], document: Any) -> list[str]:
    """The keys that a location has in the document; pydantic also names which form of a union it tried."""
    keys = []
    for part in location:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, (list, tuple)) and isinstance(part, int):
            document = document[part] if part < len(document) else None
        elif document is not None:
            continue
        keys.append(str(part))
    return keys


def _fields_at(model: type[BaseModel], keys: list[str]) -> list[str]:
    kind: Any = model
    for key in keys:
        if key.isdigit():
            continue
        annotation = kind.model_fields[key].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        kind = next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), model)
    return list(kind.model_fields)


def load_recipe(name: str | Path, overrides: Iterable[dict[str, Any]] = ()) -> Recipe:
    """Load a recipe by shipped name or path, its `extends` first, then the overrides in order.

    Raises:
        UsageError: If it can't be found or is wrong.
    """
    path = find_recipe(name)
    document = _read_extended(path, ())
    run = path.name == RECIPE_FILE and any((path.parent / file).exists() for file in ("last.pt", "best.safetensors"))
    if not run:  # a run may come from anywhere; a recipe file that is named by itself is the user's word
        name_by_user(document)
    for override in overrides:
        name_by_user(override)
        document = merge(_written_out(document), override)
    return validate(Recipe, document, str(name))


def _written_out(document: dict[str, Any]) -> dict[str, Any]:
    """With `teacher.source` as a mapping where it is a name, so that an override may add a key to it."""
    teacher = document.get("teacher")
    source = teacher.get("source") if isinstance(teacher, dict) else None
    return merge(document, {"teacher": {"source": {"name": source}}}) if isinstance(source, str) else document


def find_recipe(name: str | Path) -> Path:
    """Path of a recipe: a file, a run folder (its ``recipe.yaml``), or the name of one that ships.

    Raises:
        UsageError: If there is none.
    """
    path = Path(name)
    for candidate in (path, path / RECIPE_FILE, RECIPES / f"{name}.yaml"):
        if candidate.is_file():
            return candidate
    shipped = shipped_recipes()
    own = ", ".join(each for each in shipped if "/" not in each)
    raise UsageError(
        f"No recipe {str(name)!r}{nearest(str(name), shipped)}; give a YAML file, one of {own}, or a row of `edgekd methods --table`."
    )


def shipped_recipes() -> list[str]:
    """Names of the recipes that ship; what lies in ``parts`` is only extended."""
    names = (file.relative_to(RECIPES).with_suffix("").as_posix() for file in RECIPES.rglob("*.yaml"))
    return sorted(name for name in names if not name.startswith("parts/"))


def _read_extended(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        raise UsageError(f"{path} extends itself; remove the circle.")
    document = read_yaml(path)
    base: dict[str, Any] = {}
    parents = document.pop("extends", [])
    for parent in [parents] if isinstance(parents, str) else parents:
        beside = path.parent / f"{parent}.yaml"
        base = merge(base, _read_extended(beside if beside.is_file() else find_recipe(parent), (*seen, path)))
    return merge(base, document)


def merge(base: dict[str, Any], override: dict[str, Any]) -> dict[str, Any]:
    """Override into a copy of base, mapping by mapping; lists, scalars and what is overridden by ``{}`` are replaced whole."""
    result = dict(base)
    for key, value in override.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) and value else value
    return result


def assignment(text: str, flag: str = "--set") -> dict[str, Any]:
    """``train.steps=100`` → ``{"train": {"steps": 100}}``; the value is YAML.

    Raises:
        UsageError: If there is no ``=`` or the value is no YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"{flag} takes key=value, e.g. train.steps=100, not {text!r}.")
    try:
        result: Any = parse_yaml(value)
    except ValueError as error:
        raise UsageError(f"{flag} {text!a}: the value is not valid YAML: {' '.join(str(error).split())}.") from error
    for part in reversed(key.split(".")):
        result = {part: result}
    return result


def dump_recipe(recipe: Recipe) -> str:
    """The resolved recipe as YAML, loadable again."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
