"""A network that looks at a large image through windows, and what it gives of the whole."""

import torch
from torch import Tensor

from edgekd.models import Network, SegOutput

Size = tuple[int, int]


def look_through(model: Network, image: Tensor, window: Size) -> SegOutput:
    """Logits, features and auxiliary logits of an image, each the mean over the windows that see a place.

    Windows start at multiples of the network's coarsest stride, about two thirds of a window apart, so that their maps lie on one grid
    and nothing is resampled. The last one ends at the edge. Logits are averaged, and not probabilities, since transfers read logits.

    Args:
        model: In eval mode.
        image: Normalised, B×K×H×W.
        window: (H, W), raised to multiples of the coarsest stride; one that covers the image is the plain forward.
    """
    height, width = image.shape[-2:]
    rows, columns = (_windows(*lengths, model.grid) for lengths in zip((height, width), window, strict=True))
    if len(rows) == len(columns) == 1:
        return model(image)
    canvases: list[_Canvas | None] = [None, None, None]
    for row in rows:
        for column in columns:
            for index, view in enumerate(model(image[..., row, column])[:3]):
                if view is not None:
                    canvas = canvases[index] = canvases[index] or _Canvas(view, row, (height, width))
                    canvas.add(view, row.start, column.start)
    logits, features, aux_logits = (None if canvas is None else canvas.mean() for canvas in canvases)
    assert logits is not None
    return SegOutput(logits, features, aux_logits)


def _windows(length: int, window: int, grid: int) -> list[slice]:
    window += -window % grid
    if window >= length:
        return [slice(0, length)]
    step = max(grid, window * 2 // 3 // grid * grid)
    last = (length - window) // grid * grid
    starts = [*range(0, last, step), last]
    return [slice(start, length if start == last else start + window) for start in starts]


class _Canvas:
    """The sum of one kind of map over windows, and how many see each place."""

    def __init__(self, first: Tensor, row: slice, size: Size) -> None:
        self.stride = -(-(row.stop - row.start) // first.shape[-2])
        height, width = (-(-side // self.stride) for side in size)
        self.sum = first.new_zeros(*first.shape[:2], height, width)
        self.count = torch.zeros(height, width, device=first.device)
        self.seen = (0, 0)

    def add(self, view: Tensor, top: int, left: int) -> None:
        rows, columns = (
            slice(start // self.stride, start // self.stride + side) for start, side in zip((top, left), view.shape[-2:], strict=True)
        )
        self.sum[..., rows, columns] += view
        self.count[rows, columns] += 1
        self.seen = max(self.seen[0], rows.stop), max(self.seen[1], columns.stop)

    def mean(self) -> Tensor:
        """Without the last row and column where the network's maps are rounded down, as of the whole image."""
        return (self.sum / self.count)[..., : self.seen[0], : self.seen[1]]
