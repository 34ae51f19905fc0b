"""Which layers must stay above a lower precision for it to meet its budget: each tried alone, then the fewest kept."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from edgekd.console import progress
from edgekd.export.calibration import CalibrationSet
from edgekd.export.judge import Quality
from edgekd.export.lowered import Lowered
from edgekd_calib.sensitivity import LayerSensitivity, fewest_kept, layer_sensitivity

SENSITIVITY_IMAGES = 8


def measure_sensitivity(model: Any, lowered: Lowered, images: CalibrationSet, num_classes: int) -> list[LayerSensitivity]:
    """Each layer alone in the lower precision, on the first `SENSITIVITY_IMAGES` calibration images; the noisiest first."""

    def only(name: str) -> Any:
        return lowered.judged([other for other in lowered.nodes if other != name])

    few = slice(SENSITIVITY_IMAGES)
    with progress("sensitivity") as update:
        return layer_sensitivity(
            model, lowered.nodes, only, images.images[few], images.labels[few], num_classes, lambda done: update(done, len(lowered.nodes))
        )


def keep_fewest(
    sensitivity: Sequence[LayerSensitivity], kept: Collection[str], attempt: Callable[[Collection[str]], tuple[bool, Quality]]
) -> tuple[dict[str, str], Quality] | None:
    """The fewest layers to keep besides `kept`, with the reason, and what is measured with them; None where no mix is good.

    Args:
        sensitivity: Of the layers, the noisiest first.
        kept: Nodes that are kept anyway.
        attempt: Nodes to keep → whether the model then meets its budget, and what it was measured to be.
    """
    noise = {layer.name: layer.snr_db for layer in sensitivity if layer.name not in kept}
    tried: dict[int, Quality] = {}

    def good(names: Sequence[str]) -> bool:
        met, tried[len(names)] = attempt([*kept, *names])
        return met

    chosen = fewest_kept(list(noise), good)
    if chosen is None:
        return None
    return {name: f"signal to noise {noise[name]:.1f} dB alone" for name in chosen}, tried[len(chosen)]
