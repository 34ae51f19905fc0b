"""Which layers a lower precision hurts, and the fewest that must stay as they are."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_calib.graph import Image, run_graph, scores_tensor
from edgekd_runtime.accuracy import ConfusionMatrix


@dataclass(frozen=True)
class LayerSensitivity:
    """One layer in the lower precision, all others in FP32.

    Attributes:
        name: Of the node.
        op: Its operator.
        snr_db: Signal to noise of the scores, 10·log₁₀(Σ fp32² / Σ (fp32 − lower)²), in decibels.
        miou_drop: Mean IoU lost on the images measured, in 0–1.
    """

    name: str
    op: str
    snr_db: float
    miou_drop: float

    def to_json(self, key: str = "miou") -> dict[str, Any]:
        """A JSON-safe dictionary; an infinite signal to noise (no difference at all) and a mIoU of nothing are null.

        Args:
            key: Of what is lost: `edgekd_runtime.artifact.score_key`.
        """
        found = {name: value if isinstance(value, str) or np.isfinite(value) else None for name, value in asdict(self).items()}
        return {f"{key}_drop" if name == "miou_drop" else name: value for name, value in found.items()}


def layer_sensitivity(
    model: Any,
    names: Sequence[str],
    lowered: Callable[[str], Any],
    images: Sequence[Image],
    labels: Sequence[NDArray[np.uint8]],
    num_classes: int,
    update: Callable[[int], None] | None = None,
) -> list[LayerSensitivity]:
    """Lower one layer at a time and compare; the noisiest comes first.

    Args:
        model: FP32 ModelProto.
        names: Layers to try.
        lowered: Gives the model with that layer alone in the lower precision.
        images: Network inputs, uint8 1×H×W×3.
        labels: uint8 H×W at the same size, 255 = ignore.
        num_classes: C.
        update: Told of each layer done.
    """
    scores = scores_tensor(model.graph)
    expected = [outputs[0] for outputs in run_graph(model, images, [scores], optimise=False)]
    best = _miou(expected, labels, num_classes)
    ops = {node.name: node.op_type for node in model.graph.node}
    found = []
    for done, name in enumerate(names, 1):
        given = [outputs[0] for outputs in run_graph(lowered(name), images, [scores], optimise=False)]
        noise = sum(float(np.square(g.astype(np.float64) - e).sum()) for g, e in zip(given, expected, strict=True))
        signal = sum(float(np.square(e.astype(np.float64)).sum()) for e in expected)
        snr = 10 * np.log10(signal / noise) if noise else np.inf
        found.append(LayerSensitivity(name, ops[name], float(snr), best - _miou(given, labels, num_classes)))
        if update is not None:
            update(done)
    return sorted(found, key=lambda layer: layer.snr_db)


def _miou(scores: Sequence[NDArray[Any]], labels: Sequence[NDArray[np.uint8]], num_classes: int) -> float:
    matrix = ConfusionMatrix(num_classes)
    for values, label in zip(scores, labels, strict=True):
        matrix.update(label, values[0].argmax(0).astype(np.uint8))
    return matrix.accuracy().miou


def fewest_kept(order: Sequence[str], good: Callable[[Sequence[str]], bool]) -> list[str] | None:
    """The shortest start of `order` that is good to keep, found by halving; None where only keeping all of them would be.

    Args:
        order: Layers, the most sensitive first.
        good: Whether the model with these layers kept meets its budget; taken to stay so when more are kept.
    """
    low, high = 0, len(order) - 1
    if high < 0 or not good(order[:high]):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(order[:middle]) else (middle + 1, high)
    return list(order[:high])
