"""A table of the page, as its template takes it: headings, and cells with what they sort by."""

from dataclasses import dataclass, field
from itertools import groupby

FEW, AT_ONCE = 12, 100
"""Up to so many rows need no filter; so many are laid out at first, since a browser needs seconds for a thousand."""


@dataclass(frozen=True)
class Head:
    """A heading: its words and unit, the group that it belongs to, and its class; what sorts first in a table that can be sorted."""

    title: str
    unit: str = ""
    group: str = ""
    kind: str = ""
    first: str = ""


@dataclass(frozen=True)
class Cell:
    """What stands in a table; with a style, the method's mark stands before it.

    Attributes:
        words: Its text.
        key: What it sorts by; None for its text.
        kind: Its classes.
        best: Whether it is the best of its column.
        style: Index of the method's colour and shape, if it tells a method.
        more: What a phone adds to a row's name, since it hides the columns that say it.
    """

    words: str
    key: str | None = None
    kind: str = ""
    best: bool = False
    style: int | None = None
    more: str = ""


@dataclass(frozen=True)
class Grid:
    """A table; the first column names the row.

    Attributes:
        name: What screen readers call it.
        sorts: Whether headings sort, and names open a row's details.
        common: Columns in which all rows agree: title and value.
        notes: Title of a column → what it means.
        scripted: Whether the page has the script that filters and shows what is not laid out at first.
    """

    name: str
    heads: list[Head]
    lines: list[list[Cell]]
    sorts: bool = False
    common: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    scripted: bool = True

    @property
    def groups(self) -> list[tuple[str, int, str]]:
        """Headings above those of neighbours: words, number of columns, class."""
        members = [(name, list(heads)) for name, heads in groupby(self.heads, lambda head: head.group)]
        return [(name, len(heads), heads[0].kind.replace("number", "").strip()) for name, heads in members]

    @property
    def filtered(self) -> bool:
        """Whether it is long enough for a filter."""
        return self.scripted and len(self.lines) > FEW

    @property
    def at_once(self) -> int:
        """How many rows are laid out at first."""
        return AT_ONCE if self.scripted else len(self.lines)
