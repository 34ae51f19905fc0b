"""Where the names of points go, so that none covers a point, another name or, if it can be helped, the front."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_HEIGHT, _POINT = 15.0, 8.0
_DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
_DISTANCES = (12.0, 26.0, 44.0)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Placed:
    """A name at its place.

    Attributes:
        x, y: The end of its baseline that the point is at.
        anchor: Which part of the text that is: ``start``, ``middle`` or ``end``; the width is an estimate, this end is not.
        words: The name.
        leader: Path data from the point to a name that stands apart from it; empty where it is near.
    """

    x: float
    y: float
    anchor: str
    words: str
    leader: str


def label_width(words: str) -> float:
    """About how wide 13 px semibold text is: no font is at hand to ask."""
    return sum(13.0 if unicodedata.east_asian_width(letter) in "WF" else 8.2 for letter in words)


def place(
    names: Sequence[tuple[float, float, str]],
    points: Sequence[tuple[float, float]],
    steps: Sequence[tuple[float, float]],
    frame: Box,
    kept: Sequence[Box] = (),
) -> list[Placed]:
    """Places for names, in order of importance; a name without room is left out, its point still has a tooltip.

    Args:
        names: (x, y, name) of the points to be named.
        points: Every point.
        steps: Corners of the front's step line.
        frame: Left, top, right and bottom of the plot.
        kept: Boxes to keep free.
    """
    taken: list[Box] = [*kept, *((x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in points)]
    lines: list[Box] = [(min(a[0], b[0]) - 1, min(a[1], b[1]) - 1, max(a[0], b[0]) + 1, max(a[1], b[1]) + 1) for a, b in pairwise(steps)]
    placed = []
    for x, y, words in names:
        width = label_width(words)
        boxes = [_box(x, y, width, direction, distance) for distance in _DISTANCES for direction in _DIRECTIONS]
        free = [one for one in boxes if _inside(one[0], frame) and not any(_meet(one[0], other) for other in taken)]
        clear = [one for one in free if not any(_meet(one[0], other) for other in lines)]
        # near the point across the line reads better than far from it
        best = next(iter([one for one in clear if not one[1]] or [one for one in free if not one[1]] or clear or free), None)
        if best is not None:
            (left, top, right, bottom), far, across = best
            leader = f"{x:.1f} {y:.1f}L{min(max(x, left), right):.1f} {min(max(y, top), bottom):.1f}" if far else ""
            taken.append(best[0])
            anchor, at = {1: ("start", left), 0: ("middle", (left + right) / 2), -1: ("end", right)}[across]
            placed.append(Placed(at, bottom - 4, anchor, words, leader))
    return placed


def _box(x: float, y: float, width: float, direction: tuple[int, int], distance: float) -> tuple[Box, bool, int]:
    """The box of a name `distance` away in a direction, whether it needs a leader, and on which side of the point it is."""
    across, down = direction
    left = x + across * distance - (0 if across > 0 else width if across < 0 else width / 2)
    middle = y + down * (distance + (3 if not across else 0))
    return (left, middle - _HEIGHT / 2, left + width, middle + _HEIGHT / 2), distance > _DISTANCES[0], across


def _inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] + 2 and box[1] >= frame[1] and box[2] <= frame[2] + 14 and box[3] <= frame[3] - 2


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
