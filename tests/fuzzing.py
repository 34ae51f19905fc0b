"""Generators of bad inputs, and what a verb may make of one."""

import copy
import random

BAD = (
    None,
    -1,
    0,
    1e308,
    1 << 70,
    True,
    "",
    256,
    "x" * 5000,
    "../../x",
    "\ud800",
    "\0",
    [],
    {},
    [[[[]]]],
    {"a": None},
    [0] * 2000,
    float("nan"),
    float("inf"),
    float("-inf"),
)
"""What may stand in a document where something else should."""


def places(value, path=()):
    """Every place of a document but the whole."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(item, (*path, key))


def broken(document, chance: random.Random):
    """The document with one to three places wrong, missing or strange."""
    document = copy.deepcopy(document)
    for _ in range(chance.randint(1, 3)):
        *way, last = chance.choice(list(places(document)))
        here = document
        for key in way:
            here = here[key]
        if chance.random() < 0.2:
            del here[last]
        else:
            here[last] = chance.choice(BAD)
        if not document:
            break
    return document


def torn(data: bytes, chance: random.Random) -> bytes:
    """Bytes cut, doubled or turned."""
    kind, place = chance.randrange(4), chance.randrange(len(data))
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + bytes(chance.randrange(256) for _ in range(8)) + data[place + 8 :]
    return data + data[place:] if kind == 2 else data[:place] + b"\0" * 64 + data[place:]


def ends_well(words, folder, code=(0, 1, 2)):
    """Run a verb; what it leaves beside its inputs is whole or nothing."""
    from click.testing import CliRunner

    from edgekd.cli import main

    kept = folder / "kept"
    kept.write_text("as it was")
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), (words, repr(result.exception))
    assert result.exit_code in code and "Traceback" not in result.output, result.output
    assert result.exit_code == 0 or "Error: " in result.output
    assert kept.read_text() == "as it was" and not list(folder.rglob(".edgekd-*"))
    return result.exit_code
