"""Paints: the colours of every sort of surface, and which of them a thing wears."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgekd.data.streetscape.types import Floats, Ints

_PAINT: dict[str, NDArray[np.float64]] = {
    name: np.array([[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in codes.split()])
    for name, codes in {
        "wall": "8c4c3c b8a078 d8ccae 808080 525458 8ca8c4 dcdcd6 bc8c4c 748c6a c8968c 664c3c 9e9a92 5c7484 a87868",
        "trim": "e4e4e0 d8d0c0 4a4a4c 5a4030 34503c 2c3c58 a09888",
        "roof": "7c4434 54504e 3c3e44 8a5a44",
        "glass": "202a34 34424e 4c606e 14181c 5c7c94",
        "lit": "ffd890 ffe8b8 f0c070 2c3440 222830 181c24 303848",
        "leaf": "3c5c28 4c6c2c 5c7434 2c4824 70782c 44602c 98682c a88430 844430 5c7848",
        "bark": "4c3c30 5c5044 3c342c",
        "grass": "5c7434 6c7c3c 80784c 4c6430",
        "asphalt": "4c4c50 60605f 3c3e42 6c645c 565a62",
        "line": "d8d8d0 e4e4e0 d0bc70",
        "slab": "88847c 74747a 8c7868 5c5e60 989690 9c8880",
        "body": "dcdcdc b0b4b8 70747a 1c1e22 8c1c1c 243c78 2c4c3c a89878 c8a030 5c6c84 e8e8e8 3c3e44",
        "tyre": "1c1c1e 242426 2c2c2c",
        "head": "f0f0e0",
        "tail": "b01818 901010",
        "cloth": "243050 801c24 d8d4cc 1c1c20 5c6440 b08c3c 4c7c94 6c4c6c c86c34 808488 2c5c48",
        "denim": "243048 1c1c20 48505c 5c5040 7c7464",
        "skin": "e0b494 c89070 8c5c40 5c3c2c",
        "pole": "5c5e60 384840 8c8c8c 2c2c30 6c6860",
        "signal": "c01c20 1c4c9c e8b820",
        "white": "e8e8e4",
        "black": "1c1c1c 243c7c",
        "litter": "385c3c 6c6c70 8c5030 2c4870",
    }.items()
}

DRESS = {  # the paints of a thing's five slots; a short list goes on with its last
    "house": ("wall", "trim", "glass"),
    "lit house": ("wall", "trim", "glass", "lit"),
    "tree": ("leaf", "bark", "leaf"),
    "car": ("body", "tyre", "glass", "head", "tail"),
    "person": ("cloth", "denim", "skin"),
    "red sign": ("white", "signal", "black", "pole"),
    "blue sign": ("signal", "white", "white", "pole"),
    "semaphore": ("tyre", "tyre", "tyre", "tail", "pole"),
    "litter": ("litter",),
    "pole": ("pole", "pole", "pole", "lit", "pole"),
    "tarmac": ("asphalt", "line"),
    "slab": ("slab",),
    "grass": ("grass",),
    "city": ("wall",),
}


@lru_cache(maxsize=1)
def _wardrobe() -> tuple[Floats, Ints, Ints]:
    """All colours, and for each dress where the palette of each slot starts and how long it is."""
    sizes = np.array([len(colours) for colours in _PAINT.values()])
    slots = np.array([[list(_PAINT).index(names[min(slot, len(names) - 1)]) for slot in range(5)] for names in DRESS.values()])
    return np.concatenate(list(_PAINT.values())).astype(np.float32), (np.cumsum(sizes) - sizes)[slots], sizes[slots]


def wear(dress: Ints, draw: NDArray[np.float64]) -> Floats:
    """Paints, n × 5 × 3: `draw` in [0, 1) picks a colour of the palette and, by its remainder, a brightness."""
    colours, start, length = _wardrobe()
    scaled = draw * length[dress]
    pick = scaled.astype(np.intp)
    return np.asarray(colours[start[dress] + pick] * (0.84 + 0.32 * (scaled - pick))[..., None], np.float32)
