"""What a viewer sees: each model's overlay under its name and times, side by side, and the legend."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.image import legend, overlay, text
from edgekd_runtime.video.info import Frame


class Canvas:
    """The picture that is written and shown, painted anew each frame in the same memory.

    Encoders want even sides: where the picture's is odd there is one black row or column more.

    Args:
        models: Sidecars, from left to right.
        size: (H, W) of a frame.
        opacity: Of the colours, 0–1.
    """

    def __init__(self, models: Sequence[Artifact], size: tuple[int, int], opacity: float) -> None:
        self._models, self._opacity = models, opacity
        height, width = size
        legends = [legend(classes, height) for classes in dict.fromkeys(model.classes for model in models)]
        across = width * len(models) + sum(panel.shape[1] for panel in legends)
        self.image: Frame = np.zeros((height + height % 2, across + across % 2, 3), np.uint8)
        self._panes = [self.image[:height, width * place : width * (place + 1)] for place in range(len(models))]
        self.image[:height, width * len(models) : across] = np.hstack(legends)

    def paint(self, frame: Frame, class_maps: Sequence[NDArray[np.uint8]], notes: Sequence[Sequence[str]]) -> Frame:
        """Overlay each model's class map, with its lines of notes at the top left; the result is overwritten by the next."""
        for pane, model, class_map, lines in zip(self._panes, self._models, class_maps, notes, strict=True):
            overlay(frame, class_map, model.classes, self._opacity, pane)
            for row, line in enumerate(lines, 1):
                text(pane, line, (8, 20 * row), 0.5)
        return self.image
