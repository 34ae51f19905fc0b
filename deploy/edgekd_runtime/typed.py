"""Documents from files become typed records, checked once by the records' own type hints: a fault is told with the file and the field.

Known are dataclasses, TypedDicts, tuples, lists, dictionaries with words as keys, ``X | None``, whole numbers, finite numbers, words,
truth values, ``Any``, and ``Annotated`` with `Within`, `Matches`, `Facts` or `NAN`. Keys that a record does not know are left out, since
a later version may have added them.
"""

import dataclasses
import math
import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from edgekd_runtime.errors import EdgeKDError

T = TypeVar("T")
Reader = Callable[[Any], Any]
NAN = "null is NaN"
"""Mark of a number that may be NaN, for which JSON has null."""


@dataclass(frozen=True)
class Within:
    """Mark of a number from `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Matches:
    """Mark of a word that matches a regular expression as a whole; `what` it is, in words."""

    pattern: str
    what: str


@dataclass(frozen=True)
class Facts:
    """Mark of a dictionary that is empty, or has what a TypedDict requires; other keys may hold anything."""

    kind: Any


class FaultError(Exception):
    """What is wrong, and where in the document."""

    def __init__(self, words: str, where: str = "") -> None:
        super().__init__(words)
        self.words, self.where = words, where

    def inside(self, where: str) -> "FaultError":
        """The same, seen from the record or list that holds it."""
        return FaultError(self.words, where + self.where)


def typed(kind: type[T], document: Any, source: str, mend: str) -> T:
    """Make a record of a document.

    Args:
        kind: A dataclass or TypedDict.
        document: As `json.loads` gives it.
        source: What it was read from, for the message.
        mend: What to do about a fault, for the message.

    Raises:
        EdgeKDError: If something is missing, of another type, or out of its range.
    """
    try:
        found: T = _reader(kind)(document)  # type: ignore[arg-type]  # mypy takes a type for unhashable
    except FaultError as fault:
        place = fault.where.lstrip(".")
        raise EdgeKDError(f"{source}: {place}{' ' if place else ''}{fault.words}; {mend}.") from fault
    return found


def _wrong(value: Any, wanted: str) -> FaultError:
    shown = ascii(value)  # a lone surrogate can't be printed
    return FaultError(f"must be {wanted}, not {shown if len(shown) <= 60 else f'{shown[:57]}...'}")


@cache
def _reader(kind: Hashable) -> Reader:
    """What reads a value of this type."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if origin is Annotated:
        return _marked(_reader(inner[0]), inner[1:])
    if origin in (Union, UnionType) and NoneType in inner and len(inner) == 2:
        one = _reader(next(option for option in inner if option is not NoneType))
        return lambda value: None if value is None else one(value)
    if dataclasses.is_dataclass(kind):
        return _record(kind)
    if is_typeddict(kind):
        return _facts(kind)
    if origin is tuple and inner[-1] is not Ellipsis:
        return _fixed(tuple(map(_reader, inner)))
    if origin in (tuple, list):
        return _many(_reader(inner[0]), origin)
    if origin is dict:
        return _mapping(_reader(inner[1]))
    raise TypeError(f"edgekd_runtime.typed does not know {kind}")


def _whole(value: Any) -> int:
    if type(value) is not int or abs(value) >= 1 << 63:
        raise _wrong(value, "a whole number")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e300:  # NaN, too
        raise _wrong(value, "a finite number")
    return float(value)


def _word(value: Any) -> str:
    if type(value) is not str:
        raise _wrong(value, "text")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise _wrong(value, "text that UTF-8 can hold")
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise _wrong(value, "true or false")
    return value


def _anything(value: Any) -> Any:
    """Values of no fixed type: what JSON has."""
    if isinstance(value, dict):
        return _mapping(_anything)(value)
    if isinstance(value, (list, tuple)):
        return _many(_anything, list)(value)
    if isinstance(value, float):
        return _number(value)
    return _word(value) if isinstance(value, str) else value


_SIMPLE: dict[Any, Reader] = {int: _whole, float: _number, str: _word, bool: _truth, Any: _anything}


def _marked(one: Reader, marks: tuple[Any, ...]) -> Reader:
    def read(value: Any) -> Any:
        if NAN in marks and (value is None or value != value):
            return math.nan
        found = one(value)
        for mark in marks:
            if isinstance(mark, Within) and not mark.low <= found <= mark.high:
                raise _wrong(value, f"from {mark.low:g} to {mark.high:g}")
            if isinstance(mark, Matches) and not re.fullmatch(mark.pattern, found):
                raise _wrong(value, mark.what)
            if isinstance(mark, Facts) and found:
                found = _reader(mark.kind)(found)
        return found

    return read


def _many(one: Reader, kind: Callable[[list[Any]], Any]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise _wrong(value, "a list")
        found: list[Any] = []
        try:
            for item in value:
                found.append(one(item))
        except FaultError as fault:
            raise fault.inside(f"[{len(found)}]") from fault
        return kind(found)

    return read


def _fixed(readers: tuple[Reader, ...]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or len(value) != len(readers):
            raise _wrong(value, f"a list of {len(readers)}")
        found: list[Any] = []
        try:
            for reader, item in zip(readers, value, strict=True):
                found.append(reader(item))
        except FaultError as fault:
            raise fault.inside(f"[{len(found)}]") from fault
        return tuple(found)

    return read


def _mapping(one: Reader) -> Reader:
    def read(value: Any) -> Any:
        found = {}
        for key, item in _object(value).items():
            try:
                found[_word(key)] = one(item)
            except FaultError as fault:
                raise fault.inside(f".{ascii(key)[1:-1]}") from fault
        return found

    return read


def _object(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise _wrong(value, "an object with keys")
    return value


def _members(kind: Any) -> dict[str, Reader]:
    return {name: _reader(hint) for name, hint in get_type_hints(kind, include_extras=True).items()}


def _record(kind: Any) -> Reader:
    readers = _members(kind)
    members = [(field.name, readers[field.name], _required(field)) for field in dataclasses.fields(kind)]

    def read(value: Any) -> Any:
        given = _object(value)
        found = {}
        for name, reader, required in members:
            if name in given:
                try:
                    found[name] = reader(given[name])
                except FaultError as fault:
                    raise fault.inside(f".{name}") from fault
            elif required:
                raise FaultError("is missing", f".{name}")
        try:
            return kind(**found)
        except EdgeKDError as error:  # what the record itself asks of its fields together
            raise FaultError(f"is wrong: {str(error).rstrip('.')}") from error

    return read


def _required(field: "dataclasses.Field[Any]") -> bool:
    """Whether a document has to have it; what is computed where it is absent, today's date for instance, is no fact of a document."""
    return field.default is dataclasses.MISSING and field.default_factory not in (dict, list)


def _facts(kind: Any) -> Reader:
    readers, required = _members(kind), kind.__required_keys__

    def read(value: Any) -> Any:
        given = _object(value)
        for name in required:
            if name not in given:
                raise FaultError("is missing", f".{name}")
        found = {}
        for key, item in given.items():
            try:
                found[_word(key)] = readers.get(key, _anything)(item)
            except FaultError as fault:
                raise fault.inside(f".{ascii(key)[1:-1]}") from fault
        return found

    return read
