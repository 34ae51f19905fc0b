"""What all sources of frames share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
PATIENCE_S = 10.0
"""Silence after which a camera or a stream counts as broken."""


@dataclass(frozen=True)
class VideoInfo:
    """Frame rate (1/s), frame count (0 where nobody says), (H, W) of a video, and whether only its viewer ends it."""

    fps: float
    frames: int
    size: tuple[int, int]
    endless: bool = False


class FrameSource(Protocol):
    """RGB frames of one size, in order."""

    info: VideoInfo

    def __iter__(self) -> Iterator[Frame]:
        """The frames."""

    def close(self) -> None:
        """Free what is held open."""
