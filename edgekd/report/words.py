"""Words of the page: one way to write each kind of number, and what HTML and XML can't hold. Escaping is the templates' matter."""

import math
import re
from collections.abc import Hashable, Iterable
from typing import TypeVar

ABSENT = "–"
Item = TypeVar("Item", bound=Hashable)

# what neither XML nor UTF-8 can hold, but a JSON string can: control characters, lone surrogates, non-characters
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def plain(value: object) -> str:
    """Any value as text that UTF-8 and XML can hold; not escaped."""
    return _UNWRITABLE.sub("\ufffd", str(value))


def milliseconds(value: float | None) -> str:
    """At least three significant digits, without a unit."""
    if value is None:
        return ABSENT
    return f"{value:.{3 if value < 1 else 2 if value < 100 else 1}f}"


def percent(share: float | None, digits: int = 2) -> str:
    """A share in 0–1 as a percentage, without the sign."""
    return ABSENT if share is None else f"{100 * share:.{digits}f}"


def points(difference: float, digits: int = 2) -> str:
    """A difference of shares in percentage points, with a typographic sign."""
    figure = f"{100 * difference:+.{digits}f}"
    return f"±{figure[1:]}" if float(figure) == 0 else figure.replace("-", "−")


def rate(value: float | None) -> str:
    """A throughput, without a unit."""
    return ABSENT if value is None else f"{value:.{1 if value < 1000 else 0}f}"


def megabytes(size: float) -> str:
    """Bytes in units of 10⁶, without the unit."""
    return f"{size / 1e6:.{2 if size < 1e8 else 1}f}"


def significant(value: float) -> str:
    """Three significant digits, never in powers of ten."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0}f}"


def shorten(words: str, limit: int) -> str:
    """`words`, cut to `limit` characters with an ellipsis at the end."""
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def unique(items: Iterable[Item]) -> list[Item]:
    """The items without repetition, in order of appearance."""
    return list(dict.fromkeys(items))


def listing(items: Iterable[object], limit: int = 6) -> list[str]:
    """The distinct items as text; those beyond `limit` are counted."""
    words = unique(str(item) for item in items)
    return words[:limit] + ([f"and {len(words) - limit:,} more"] if len(words) > limit else [])


def plural(count: int, noun: str) -> str:
    """``1 model``, ``1,000 models``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
