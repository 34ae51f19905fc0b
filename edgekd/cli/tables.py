"""Tables that several verbs print."""

from collections.abc import Sequence
from typing import Any

from edgekd.console import table
from edgekd_runtime.artifact import score_key


def layer_table(title: str, layers: Sequence[dict[str, Any]], score: str) -> None:
    """What each layer costs alone in a lower precision.

    Args:
        title: Above it.
        layers: As `LayerSensitivity.to_json` gives them, with ``kept_in`` where the model is written.
        score: What is lost: `Artifact.score_name`.
    """
    header = ["layer", "operator", "signal to noise, dB", f"{score} lost, points"]
    written = bool(layers) and "kept_in" in layers[0]
    rows, key = [], f"{score_key(score)}_drop"
    for layer in layers:
        noise = "no noise" if layer["snr_db"] is None else f"{layer['snr_db']:.1f}"
        lost = "–" if layer[key] is None else f"{100 * layer[key]:+.3f}"
        rows.append([layer["name"], layer["op"], noise, lost, *([layer["kept_in"]] if written else [])])
    table(title, [*header, *(["kept in"] if written else [])], rows)
