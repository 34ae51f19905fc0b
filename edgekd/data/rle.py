"""Run lengths as COCO's annotations store masks."""

import numpy as np
from numpy.typing import NDArray


def decode_rle(counts: str, height: int, width: int) -> NDArray[np.bool_]:
    """A compressed run-length string → mask H×W.

    Runs of 0 and of 1 in turn, down the columns. Each number is written five bits a character (code − 48, lowest bits first,
    bit 5 set where more follow, bit 4 of the last the sign), from the third on as the difference to the number two before
    (COCO API, `maskApi.c`).

    Raises:
        ValueError: If the runs do not fill the mask.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T
