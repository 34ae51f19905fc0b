"""YAML of bounded size: what a few lines of aliases or brackets can grow to is refused, and so is what no recipe holds."""

from typing import Any

import yaml

MOST_VALUES, DEEPEST, LONGEST = 100_000, 40, 1 << 20


def parse_yaml(text: str) -> Any:
    """Read YAML of numbers, words, truth values, nulls, lists and mappings.

    Raises:
        ValueError: If it is not valid, longer than `LONGEST`, holds something else, is nested too deeply, or its aliases grow to more
            than `MOST_VALUES`.
    """
    if len(text) > LONGEST:
        raise ValueError(f"it has more than {LONGEST:,} characters")
    try:
        document = yaml.safe_load(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except Exception as error:  # PyYAML's constructors raise whatever Python does at a wrong date, number or key
        raise ValueError(str(error) or type(error).__name__) from error
    _values(document, {}, ())
    return document


def _values(value: Any, counted: dict[int, int], above: tuple[int, ...]) -> int:
    """How many values it holds, aliases written out; each is visited once."""
    if id(value) in counted:
        return counted[id(value)]
    if not isinstance(value, (dict, list)):
        _require_plain(value)
        return 1
    if id(value) in above:
        raise ValueError("an alias holds itself")
    if len(above) >= DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    inside = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    total = 1 + sum(_values(item, counted, (*above, id(value))) for item in inside)
    if total > MOST_VALUES:
        raise ValueError(f"it holds more than {MOST_VALUES:,} values, aliases written out")
    counted[id(value)] = total
    return total


def _require_plain(value: Any) -> None:
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise ValueError(f"{value!a} is text that UTF-8 can't hold")
    elif value is not None and not isinstance(value, (bool, int, float)):
        raise ValueError(f"{value} is a {type(value).__name__}; put it in quotes")
