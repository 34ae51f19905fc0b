"""How a class map is read off a network: at the deployed rectangle, or from the votes of windows, scales and mirror images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.models import Network
from edgekd_runtime.errors import UsageError

Size = tuple[int, int]


@dataclass(frozen=True)
class Inference:
    """One way of predicting; the default is the network's rectangle, once, as it will be deployed.

    Overlapping windows are averaged first, then scales and mirror images, all as probabilities and not as logits: every vote of a pixel
    then sums to one, so that no view counts for more than another, and one running sum serves all of them.

    Attributes:
        native: The image at its own size, instead of resized to the network's rectangle.
        short_side: With `native`: the image resized so that its shorter side has so many pixels.
        window: Slide a window of this (H, W) over the image; None = all of it at once.
        stride: (H, W) from window to window, 2/3 of the window where None; the last one ends at the edge.
        scales: Of the image.
        flip: Mirror left and right, too.

    Raises:
        UsageError: If the windows leave gaps, or a scale is not positive.
    """

    native: bool = False
    window: Size | None = None
    stride: Size | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    short_side: int | None = None

    def size_of(self, height: int, width: int) -> Size:
        """(H, W) at which an image is looked at with `native`."""
        factor = 1.0 if self.short_side is None else self.short_side / min(height, width)
        return round(height * factor), round(width * factor)

    def __post_init__(self) -> None:
        if self.stride and not self.window:
            raise UsageError("--stride is the step between windows; give --window too.")
        if self.window and self.stride and (self.stride[0] > self.window[0] or self.stride[1] > self.window[1]):
            raise UsageError("--stride is larger than --window, so some pixels would never be seen; make it at most as large.")
        if not self.scales or not all(0 < scale < float("inf") for scale in self.scales):
            raise UsageError("--scales takes positive numbers, e.g. 0.75,1,1.25.")


DEPLOYED = Inference()


class Span(NamedTuple):
    """A window along one axis.

    Attributes:
        view: The pixels of the scaled image that it covers.
        canvas: The pixels of the result whose centres lie in it.
        positions: Of those, in pixels of the window.
        share: 1 / the number of windows that see each.
    """

    view: slice
    canvas: slice
    positions: Tensor
    share: Tensor


def mean_probabilities(model: Network, look: Callable[[Size], Tensor], size: Size, inference: Inference) -> Tensor:
    """Class probabilities from all votes.

    The only full-size buffers are the sum and one vote: a window's logits are read at the result's pixels, whatever its scale.

    Args:
        model: In eval mode.
        look: Gives the network's input, 1×K×h×w, at any size.
        size: (H, W) of the result.
        inference: Which views vote.

    Returns:
        1×C×H×W float32.
    """
    device = next(model.parameters()).device
    total = torch.zeros(1, model.num_classes, *size, device=device)
    turns = (False, True) if inference.flip else (False,)
    for scale in inference.scales:
        view = look((max(1, round(scale * size[0])), max(1, round(scale * size[1]))))
        for rows, columns in windows(size, (view.shape[-2], view.shape[-1]), inference, device):
            share = torch.outer(rows.share, columns.share) / (len(inference.scales) * len(turns))
            for turned in turns:
                seen = view[..., rows.view, columns.view]
                total[..., rows.canvas, columns.canvas].add_(
                    _probabilities(model, seen, rows.positions, columns.positions, turned).mul_(share)  # unnamed, so gone before the next
                )
    return total


def windows(size: Size, view: Size, inference: Inference, device: torch.device) -> list[tuple[Span, Span]]:
    """Rows and columns of every window over a view, and what they mean for a result of `size`."""
    window = inference.window or view
    stride = inference.stride or tuple(-(-2 * length // 3) for length in window)
    rows, columns = (_spans(*lengths, device) for lengths in zip(size, view, window, stride, strict=True))
    return [(row, column) for row in rows for column in columns]


def _spans(length: int, view: int, window: int, stride: int, device: torch.device) -> list[Span]:
    window = min(window, view)
    starts = [min(start, view - window) for start in range(0, view - window + stride, stride)]
    centres = ((np.arange(length) + 0.5) * view / length - 0.5).clip(0, view - 1)
    ends = np.searchsorted(centres, [(start - 0.5, start + window - 0.5) for start in starts])
    seen = np.zeros(length, np.float32)
    for first, last in ends:
        seen[first:last] += 1

    def on_device(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values.astype(np.float32)).to(device)

    return [
        Span(slice(start, start + window), slice(first, last), on_device(centres[first:last] - start), on_device(1 / seen[first:last]))
        for start, (first, last) in zip(starts, ends.tolist(), strict=True)
        if first < last
    ]


def _probabilities(model: Network, x: Tensor, rows: Tensor, columns: Tensor, turned: bool) -> Tensor:
    """Softmax of the logits of one window, corners aligned, read at positions in it: 1×C×rows×columns."""
    multiple = model.multiple  # HRNet's branches only meet again at multiples of the coarsest
    height, width = x.shape[-2:]
    x = F.pad(x, (0, -width % multiple, 0, -height % multiple))  # with the mean colour, which is 0 here
    logits = model(x.flip(-1)).logits.flip(-1) if turned else model(x).logits
    y, x_ = (2 * positions / (length - 1) - 1 for positions, length in zip((rows, columns), x.shape[-2:], strict=True))
    grid = torch.stack([x_.expand(len(y), -1), y[:, None].expand(-1, len(x_))], -1)
    votes = F.grid_sample(logits.float(), grid[None], padding_mode="border", align_corners=True)
    votes.sub_(votes.amax(1, keepdim=True)).exp_()  # softmax in place: a second buffer is 160 MB of a Cityscapes image
    return votes.div_(votes.sum(1, keepdim=True))
