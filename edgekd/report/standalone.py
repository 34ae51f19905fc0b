"""The Pareto plot as a file of its own, for a README: SVG that follows the reader's theme, or PNG."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd.report.palette import FONT
from edgekd.report.pareto import pareto_svg
from edgekd_runtime.errors import MissingError, UsageError
from edgekd_runtime.files import write_image, write_text
from edgekd_runtime.measurement import Measurement

_ZOOM = 2  # a README on a dense screen
_PROBE = f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><text y="30" font-family="{FONT}">W</text></svg>'


def write_picture(results: Sequence[Measurement], out: Path, max_latency_ms: float | None = None) -> None:
    """Write the plot, ``.svg`` or ``.png``.

    Args:
        results: Measurements.
        out: The file.
        max_latency_ms: Latency target, drawn as a line.

    Raises:
        UsageError: If there are no results, none has an accuracy, or the suffix is another.
        MissingError: If there is nothing here to draw a PNG with.
    """
    if out.suffix not in _WRITERS:
        raise UsageError(f"{out} is neither .svg nor .png; name the picture so.")
    _WRITERS[out.suffix](out, pareto_svg(results, max_latency_ms=max_latency_ms))


def _write_svg(out: Path, svg: str) -> None:
    write_text(out, svg + "\n")


def _write_png(out: Path, svg: str) -> None:
    if len(np.unique(_drawn(_PROBE))) == 1:
        raise MissingError(f"There is no font here to write {out} with: apt install fonts-dejavu-core; or choose .svg.")
    write_image(out, _drawn(svg))


def _drawn(svg: str) -> NDArray[np.uint8]:
    """RGB."""
    try:
        import resvg_py
    except ImportError as error:
        raise MissingError("A .png picture needs resvg-py: pip install 'edgekd[png]'; or choose .svg.") from error
    data = np.frombuffer(bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=_ZOOM, background="#ffffff")), np.uint8)
    return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


_WRITERS = {".svg": _write_svg, ".png": _write_png}
