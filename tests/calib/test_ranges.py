"""Ranges against NumPy on the tensors themselves."""

import numpy as np
import pytest

from edgekd_calib.forms import CALIBRATED
from edgekd_calib.graph import run_graph
from edgekd_calib.ranges import METHODS, MagnitudeCalibrater, least_squares_range, tensor_ranges
from edgekd_calib.table import CalibrationTable, load_table
from edgekd_runtime.errors import EdgeKDError
from tests.calib.conftest import FLOAT, make_graph, noise


def test_minmax_is_the_lowest_and_the_highest_value_over_all_images(residual):
    images = noise(3)
    ranges = tensor_ranges(residual, images, "minmax", CALIBRATED)
    names = [name for name in ranges if name not in [item.name for item in residual.graph.initializer]][:6]
    met = [[(value.min(), value.max()) for value in outputs] for outputs in run_graph(residual, images, names)]
    lowest, highest = np.min(met, 0)[:, 0], np.max(met, 0)[:, 1]
    assert np.array([ranges[name] for name in names]) == pytest.approx(np.stack([lowest, highest], 1), rel=1e-5)


def test_the_clipping_methods_stay_below_the_largest_magnitude(residual):
    images = noise(2)
    widest = tensor_ranges(residual, images, "minmax", CALIBRATED)
    for method in ("percentile", "entropy", "mse"):
        ranges = tensor_ranges(residual, images, method, CALIBRATED)
        assert ranges.keys() == widest.keys()
        assert all(widest[name][0] <= low <= high <= widest[name][1] for name, (low, high) in ranges.items())
        assert any(high < 0.9 * widest[name][1] for name, (low, high) in ranges.items()), method
        assert any(low == widest[name][0] < 0 for name, (low, high) in ranges.items())  # a shorter side is not cut at the longer's length


def test_least_squares_is_the_best_of_all_clipping_values():
    """Brute force: quantise the samples with every candidate."""
    samples = np.abs(np.random.default_rng(0).standard_t(3, 40_000))
    counts, edges = np.histogram(samples, 2048)
    given = least_squares_range(counts, edges)

    def error(clip):
        step = clip / 127
        return float(((np.clip(np.round(samples / step), 0, 127) * step - samples) ** 2).mean())

    candidates = np.linspace(0.1, 1, 200) * samples.max()
    assert error(given) <= 1.03 * min(error(clip) for clip in candidates)
    assert given < 0.9 * samples.max()


@pytest.mark.parametrize("method", METHODS)
def test_no_image_and_nan_are_told(method):
    weights = {"w": np.ones((2, 3, 1, 1), np.float32)}
    nodes = [(("Cast", ["image"], ["f"]), {"to": FLOAT}), (("Conv", ["f", "w"], ["y"]), {})]
    model = make_graph(nodes, {"image": (2, (1, 3, 4, 4))}, {"y": (FLOAT, (1, 2, 4, 4))}, weights)
    with pytest.raises(EdgeKDError, match="no calibration images"):
        tensor_ranges(model, [], method, CALIBRATED)
    if method == "minmax":
        weights["w"][0] = np.nan
        broken = make_graph(nodes, {"image": (2, (1, 3, 4, 4))}, {"y": (FLOAT, (1, 2, 4, 4))}, weights)
        with pytest.raises(EdgeKDError, match="not finite"):
            tensor_ranges(broken, [np.ones((1, 3, 4, 4), np.uint8)], method, CALIBRATED)


def test_images_of_another_size_are_told(residual):
    with pytest.raises(EdgeKDError, match="A calibration image is 1x32x56x3, but the network takes 1x40x56x3"):
        tensor_ranges(residual, noise(1, (32, 56)), "minmax", CALIBRATED)


def test_a_table_is_kept_and_refused_for_another_model(tmp_path):
    table = CalibrationTable("abc", "entropy", 3, {"hash": "image"}, {"x": (-12.7, 3.0)})
    table.save(tmp_path / "table.json")
    assert load_table(tmp_path / "table.json") == table and table.scales == pytest.approx({"x": 0.1})
    table.require("abc", "table.json")
    with pytest.raises(EdgeKDError, match=r"table\.json was made for another model"):
        table.require("other", "table.json")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"schema_version": 3}',
        '{"schema_version": 2, "model_sha256": "a", "method": "mse", "seed": 0, "images": {"h": "n"}, "ranges": {"x": 1.5}}',
        '{"schema_version": 3, "model_sha256": "a", "method": "mse", "seed": 0, "images": {"h": "n"}, "ranges": {"x": [2, 1]}}',
    ],
)
def test_what_is_no_table_is_told(tmp_path, content):
    (tmp_path / "table.json").write_text(content)
    with pytest.raises(EdgeKDError, match=r"table\.json"):
        load_table(tmp_path / "table.json")


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_activation_and_one_that_grows_a_billion_times_have_ranges(method):
    """Images of one colour through a 1x1 convolution: nothing varies in the first, and the next is far outside its histogram."""
    weights = {"w": np.full((2, 3, 1, 1), 0.1, np.float32)}
    nodes = [(("Cast", ["image"], ["f"]), {"to": FLOAT}), (("Mul", ["f", "tiny"], ["g"]), {}), (("Conv", ["g", "w"], ["y"]), {})]
    weights["tiny"] = np.float32(1e-9).reshape(1)
    model = make_graph(nodes, {"image": (2, (1, 3, 4, 4))}, {"y": (FLOAT, (1, 2, 4, 4))}, weights)
    flat = [np.full((1, 3, 4, 4), value, np.uint8) for value in (200, 0, 1, 255)]
    low, high = tensor_ranges(model, flat, method, CALIBRATED)["y"]
    assert low == 0 and high == pytest.approx(0.3 * 255e-9, rel=0.3)


def test_magnitudes_are_counted_as_numpy_counts_them():
    rng = np.random.default_rng(0)
    parts = [rng.standard_normal(1000).astype(np.float32) * factor for factor in (1, 0.1, 7)]
    collector = MagnitudeCalibrater.histograms(99.99)
    for part in parts:
        collector.collect({"x": [part]})
    counts, edges, low, high = collector.histogram_dict["x"]
    everything = np.concatenate(parts)
    assert edges[0] == 0 and len(counts) == 2048 and counts.sum() == 3000
    expected = np.histogram(np.abs(everything), edges)[0]
    assert np.abs(counts - expected).sum() <= 4  # a value on an edge, in float32
    assert edges[1024] < np.abs(everything).max() <= edges[-1]
    assert (low, high) == (everything.min(), everything.max())
