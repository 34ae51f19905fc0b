"""Which other files an ONNX file keeps weights in, read from its bytes: the runtime has no onnx to ask."""

import mmap
from collections.abc import Iterator
from pathlib import Path

_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""Where tensors are in a model: message → field → message, by the numbers in onnx.proto."""
_DEEPEST = 100
"""Messages inside one another, as protobuf itself has it."""


def external_files(file: Path) -> list[str]:
    """Names of the files beside it that hold weights; none of a file that is no ONNX file.

    Raises:
        OSError: If it can't be read.
    """
    with file.open("rb") as opened:
        if not file.stat().st_size:  # nothing can be mapped
            return []
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as whole, memoryview(whole) as data:
            try:
                return list(dict.fromkeys(_locations(data, "model", 0, len(data), 0)))
            except (IndexError, ValueError):  # cut short, or no ONNX file: whoever loads it says so
                return []


def _locations(data: memoryview, kind: str, begin: int, end: int, depth: int) -> Iterator[str]:
    """Of the message in data[begin:end]."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if kind == "entry":
        words = {number: bytes(data[start:stop]) for number, start, stop in _fields(data, begin, end)}
        if words.get(1) == b"location":
            yield words.get(2, b"").decode(errors="replace")
        return
    for number, start, stop in _fields(data, begin, end):
        inside = _INSIDE[kind].get(number)
        if inside is not None:
            yield from _locations(data, inside, start, stop, depth + 1)


def _fields(data: memoryview, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number and place of each field of a message that has a length; the others are passed over."""
    place = begin
    while place < end:
        key, place = _number(data, place)
        wire = key & 7
        if wire == 0:
            _, place = _number(data, place)
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        elif wire == 2:
            length, place = _number(data, place)
            if place + length > end:
                raise ValueError("cut short")
            yield key >> 3, place, place + length
            place += length
        else:
            raise ValueError("no such wire type")


def _number(data: memoryview, place: int) -> tuple[int, int]:
    """A varint, and the place after it."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
        if shift > 63:
            raise ValueError("a number too long")
