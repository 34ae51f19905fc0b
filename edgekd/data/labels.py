"""Classes of the public data sets, from `classes/NAME.txt`: a line `value red green blue name` for each."""

from pathlib import Path
from typing import NamedTuple

from edgekd_runtime.classes import ClassSet


class Label(NamedTuple):
    """A line of a class file.

    Attributes:
        value: What the distributed masks store; in `camvid32.txt`, the class that the colour belongs to.
        colour: RGB, 0–255.
        name: Of the class.
    """

    value: int
    colour: tuple[int, int, int]
    name: str


def read_labels(name: str) -> list[Label]:
    """The labels of a data set, in class order."""
    lines = Path(__file__).with_name("classes").joinpath(f"{name}.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split(" ", 4) for line in lines]
    return [Label(int(value), (int(red), int(green), int(blue)), label) for value, red, green, blue, label in found]


def class_set(labels: list[Label]) -> ClassSet:
    """Their names and colours, without the values."""
    return ClassSet(tuple(label.name for label in labels), tuple(label.colour for label in labels))
