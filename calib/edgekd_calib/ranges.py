"""The range of every tensor that INT8 quantises: min-max, percentile, entropy or least squared error of the magnitudes."""

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import EntropyCalibrater, HistogramCollector, MinMaxCalibrater, PercentileCalibrater

from edgekd_calib.graph import Image, require_size
from edgekd_runtime.errors import EdgeKDError

LEVELS = 127
"""Positive levels of a symmetric int8."""
BINS = 2048
"""Of a histogram of magnitudes."""


class MagnitudeCollector(HistogramCollector):
    """Histograms of magnitudes from 0 on, whose bins double in width as larger values come.

    ONNX Runtime's own begin at the first image's smallest magnitude and grow bin by bin: an activation that is constant has no bins there,
    and one that is nearly so costs millions of them at the next image.
    """

    def collect_absolute_value(self, name_to_arr: dict[str, list[NDArray[Any]]]) -> None:
        for name, arrays in name_to_arr.items():
            values = np.concatenate([array.ravel() for array in arrays])
            magnitudes = np.absolute(values[np.isfinite(values)])  # others are told of by the extremes
            top = magnitudes.max(initial=np.finfo(np.float32).tiny)
            first = (np.zeros(self.num_bins, int), np.linspace(0, top, self.num_bins + 1), np.inf, -np.inf)
            counts, edges, low, high = self.histogram_dict.get(name) or first
            while edges[-1] < top:
                counts, edges = np.append(counts.reshape(-1, 2).sum(1), np.zeros(self.num_bins // 2, int)), 2 * edges
            counts = counts + np.histogram(magnitudes, edges)[0]
            self.histogram_dict[name] = (counts, edges.astype(np.float32), np.minimum(low, values.min()), np.maximum(high, values.max()))


class MagnitudeCalibrater(PercentileCalibrater):
    """A percentile of the magnitudes."""

    def __init__(self, *args: Any, percentile: float = 99.99) -> None:
        super().__init__(*args, symmetric=True, num_bins=BINS, percentile=percentile)
        self.collector = self.histograms(percentile)

    @staticmethod
    def histograms(percentile: float) -> MagnitudeCollector:
        """An empty collector."""
        return MagnitudeCollector("percentile", True, BINS, None, percentile, "same")


class MSECalibrater(MagnitudeCalibrater):
    """The clipping value with the least expected squared error, from the histogram of magnitudes."""

    def compute_data(self) -> dict[str, float]:
        return {name: least_squares_range(counts, edges) for name, (counts, edges, *_) in self.collector.histogram_dict.items()}


def least_squares_range(counts: NDArray[Any], edges: NDArray[Any]) -> float:
    """The clipping value among the bin edges that loses least.

    With n(x) values of magnitude x and clipping value c the error is Σ n·Δ²/12 over x ≤ c, Δ = c/127, and Σ n·(x−c)² beyond.

    Args:
        counts: Histogram of magnitudes, N bins.
        edges: N+1 edges, rising from 0 or more.
    """
    centres, n = (edges[:-1] + edges[1:]) / 2, counts.astype(np.float64)
    candidates = edges[len(edges) // 20 + 1 :].astype(np.float64)
    inside, beyond = np.cumsum(n), [np.cumsum((n * centres**power)[::-1])[::-1] for power in range(3)]
    last = np.searchsorted(centres, candidates) - 1
    pad = [np.append(sums, 0.0)[last + 1] for sums in beyond]
    error = inside[last] * (candidates / LEVELS) ** 2 / 12 + pad[2] - 2 * candidates * pad[1] + candidates**2 * pad[0]
    return float(candidates[error.argmin()])


Range = tuple[float, float]
"""Lowest and highest value that INT8 should still represent."""
METHODS: dict[str, Callable[..., Any]] = {
    "minmax": MinMaxCalibrater,
    "percentile": MagnitudeCalibrater,
    "entropy": partial(EntropyCalibrater, symmetric=True),
    "mse": MSECalibrater,
}


def tensor_ranges(
    model: Any, images: Iterable[Image], method: str, op_types: Iterable[str], update: Callable[[int], None] | None = None
) -> dict[str, Range]:
    """What INT8 should still represent of every tensor around these operators: the values met, cut at the method's magnitude.

    Args:
        model: FP32 ModelProto.
        images: Calibration images, uint8 1×H×W×3 at the network's own rectangle.
        method: A key of `METHODS`.
        op_types: Operators that will be quantised.
        update: Told of each image done.

    Raises:
        EdgeKDError: If there is no image, one is of another size than the network, or a range is not finite.
    """
    done = 0
    with (
        tempfile.TemporaryDirectory(prefix="edgekd-calib-") as folder,
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        source = Path(folder, "model.onnx")
        onnx.save(model, source)
        calibrater = METHODS[method](str(source), list(op_types), str(Path(folder, "augmented.onnx")))
        calibrater.augment_graph()
        calibrater.create_inference_session()
        for done, image in enumerate(images, 1):
            require_size(model, image)
            with warnings.catch_warnings():  # of NaN, which is told of below, by the tensor's name
                warnings.simplefilter("ignore", RuntimeWarning)
                calibrater.collect_data(_One(calibrater.infer_session.get_inputs()[0].name, image))
            if update is not None:
                update(done)
        if not done:
            raise EdgeKDError("There are no calibration images; give a split with labelled images, and ask for at least one.")
        found = calibrater.compute_data()
    ranges = {name: _range(calibrater, name, value) for name, value in found.items()}
    wrong = [name for name, bounds in ranges.items() if not np.isfinite(bounds).all()]
    if wrong:
        raise EdgeKDError(f"The tensor {wrong[0]} is not finite on the calibration images; look for NaN in the checkpoint.")
    return ranges


def _range(calibrater: Any, name: str, value: Any) -> Range:
    """From what a calibrater found: a magnitude, beside the extremes in its histogram, or the extremes themselves."""
    low, high = (float(bound.item()) for bound in (_extremes(calibrater, name) or value.range_value))
    magnitude = value if isinstance(value, float) else max(abs(float(bound.item())) for bound in value.range_value)
    return max(low, -magnitude), min(high, magnitude)


def _extremes(calibrater: Any, name: str) -> tuple[Any, Any] | None:
    collector = getattr(calibrater, "collector", None)
    return collector.histogram_dict[name][2:4] if collector is not None else None


class _One:
    """ONNX Runtime's data reader, of one image, so that no more than one image's tensors are held."""

    def __init__(self, name: str, image: Image) -> None:
        self._feeds = [{name: image}]

    def get_next(self) -> dict[str, Image] | None:
        return self._feeds.pop() if self._feeds else None
