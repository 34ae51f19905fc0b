"""The templates of the page and the plot, and one way to fill them: everything that is not their own is escaped."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edgekd.report import palette, words

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: object) -> Markup:
    """A template with its values.

    Args:
        template: File below ``templates/``.
        values: What it names; text is escaped, `Markup` is not.
    """
    return Markup(words.plain(_environment().get_template(template).render(**values)))


@cache
def _environment() -> Environment:
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {
        "colour": palette.colour,
        "shape": palette.shape,
        "ms": words.milliseconds,
        "percent": words.percent,
        "plural": words.plural,
        "points": words.points,
        "px": _pixels,
        "class": _class,
    }
    made.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":"), "allow_nan": False}
    return made


def _pixels(value: float) -> str:
    return f"{value:.1f}"


@cache
def _class(names: str) -> Markup:
    """The attribute of an element's classes; nothing without any."""
    return Markup(' class="{}"').format(names) if names else Markup("")


def trusted(name: str) -> Markup:
    """A file of the package below ``templates/`` as it is: style and scripts."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))
