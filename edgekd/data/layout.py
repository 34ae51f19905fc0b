"""What every data layout offers: images and label maps by index, as NumPy arrays. No PyTorch here."""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.classes import ClassSet


class Sample(NamedTuple):
    """One labelled image.

    Attributes:
        image: RGB, uint8 H×W×3.
        label: uint8 H×W, class index or 255 for ignored pixels.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.uint8]


class Layout(ABC):
    """A split of a data set.

    Attributes:
        classes: Names and colours, in label order.
    """

    title: ClassVar[str]
    tree: ClassVar[str]
    classes: ClassSet

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, index: int) -> str:
        """A stable name of the sample, used in messages and pictures."""

    @abstractmethod
    def read(self, index: int) -> Sample:
        """Decode one sample.

        Raises:
            EdgeKDError: If the image or mask is unreadable, sizes differ, or a label value is unknown; names the file.
        """

    def spread(self, count: int | None = None) -> list[int]:
        """Indices of so many samples, spread evenly over the split, in order; all of them where absent or too many."""
        return [int(index) for index in np.linspace(0, len(self) - 1, min(count or len(self), len(self))).round()]
