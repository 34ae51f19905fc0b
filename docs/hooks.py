"""What the documentation takes from the code as it is built: the recipe's keys and the exit codes."""

import re
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the reference where a page asks for it; links to files of the repository, which are not on the site, become their paths."""
    markdown = re.sub(r"\[([^\]]+)\]\(\.\./([^)]+)\)", r"\1 (`\2`)", markdown)
    if "{{ recipe }}" in markdown:
        markdown = markdown.replace("{{ recipe }}", recipe_reference())
    if "{{ exit codes }}" in markdown:
        markdown = markdown.replace("{{ exit codes }}", exit_codes())
    return markdown


def recipe_reference() -> str:
    """A table for each section of a recipe: key, type, default, meaning."""
    from edgekd.config import Recipe

    return "\n\n".join([_table("", Recipe), *_sections("", Recipe)])


def _sections(prefix: str, kind: type[BaseModel]) -> list[str]:
    """The sections of a section, each with its own."""
    pages = []
    for name, field in kind.model_fields.items():
        for inner in _models(field.annotation):
            key = f"{prefix}{name}"
            pages += [f"## `{key}`\n\n{_first_line(inner)}\n\n{_table(f'{key}.', inner)}", *_sections(f"{key}.", inner)]
    return pages


def exit_codes() -> str:
    """A row for each class of error."""
    from edgekd_runtime import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EdgeKDError)]
    rows = "\n".join(f"| {kind.exit_code} | {_first_line(kind)} |" for kind in sorted(kinds, key=lambda kind: kind.exit_code))
    return f"| code | meaning |\n|---:|---|\n| 0 | Done. |\n{rows}"


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]


def _table(prefix: str, kind: type[BaseModel]) -> str:
    rows = [
        f"| `{prefix}{name}` | {_cell(_type(field.annotation))} | {_default(field)} | {_cell(field.description or '')} |"
        for name, field in kind.model_fields.items()
    ]
    return "| key | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    return f"`{'null' if value is None else str(value).lower() if isinstance(value, bool) else value}`"


def _type(annotation: Any) -> str:
    """In words that a YAML file's author knows."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is type(None):
        return "null"
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(one) for one in arguments)
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    if origin in (list, tuple):
        return (
            f"list of {_type(arguments[0])}" if origin is list or arguments[-1] is Ellipsis else f"{len(arguments)} × {_type(arguments[0])}"
        )
    if origin is dict:
        return "mapping"
    names = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", dict: "mapping"}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return names.get(annotation, str(getattr(annotation, "__name__", annotation)))


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for one in get_args(annotation) for model in _models(one)]
