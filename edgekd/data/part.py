"""Some samples of a split as a split."""

from collections.abc import Sequence

from edgekd.data.layout import Layout, Sample


class Part(Layout):
    """The samples of these indices.

    Args:
        whole: The split.
        indices: Of it.
    """

    title = tree = ""

    def __init__(self, whole: Layout, indices: Sequence[int]) -> None:
        self.whole, self.indices, self.classes = whole, list(indices), whole.classes

    def __len__(self) -> int:
        return len(self.indices)

    def name(self, index: int) -> str:
        return self.whole.name(self.indices[index])

    def read(self, index: int) -> Sample:
        return self.whole.read(self.indices[index])
