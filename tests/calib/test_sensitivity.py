"""The search against all subsets, the ranking against a layer that was made bad."""

import numpy as np
import pytest

from edgekd_calib.forms import FORMS
from edgekd_calib.graph import run_graph, scores_tensor
from edgekd_calib.quantize import quantised_layers, quantize
from edgekd_calib.sensitivity import fewest_kept, layer_sensitivity
from tests.calib.conftest import noise, table_of


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_the_shortest_start_is_found(count):
    order = [f"layer {index}" for index in range(count)]
    for needed in range(count):
        calls = []
        found = fewest_kept(order, lambda names, needed=needed, calls=calls: calls.append(len(names)) or len(names) >= needed)
        assert found == order[:needed]
        assert len(calls) <= 1 + np.ceil(np.log2(max(count, 2)))
    assert fewest_kept(order, lambda names: False) is None


@pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
def test_the_layer_with_a_wrong_range_is_the_most_sensitive(residual, form):
    images = noise(2)
    table = table_of(residual, images)
    layers = quantised_layers(residual.graph, form)
    bad = layers[7]
    entry = next(node for node in residual.graph.node if node.name == bad).input[0]
    table.ranges[entry] = tuple(bound / 50 for bound in table.ranges[entry])
    maps = [outputs[0][0].argmax(0).astype(np.uint8) for outputs in run_graph(residual, images, [scores_tensor(residual.graph)])]
    told = []

    def lowered(name):
        return quantize(residual, table, form, keep=[other for other in layers if other != name])

    found = layer_sensitivity(residual, layers[4:10], lowered, images, maps, 5, told.append)
    guilty = [bad, layers[6]] if form.fused else [bad]  # integers go from one to the other: the range is of both
    assert found[0].name in guilty and found[0].miou_drop > 0 and found[0].op == "Conv"
    assert found[0].snr_db < found[1].snr_db and [layer.snr_db for layer in found] == sorted(layer.snr_db for layer in found)
    assert told == [1, 2, 3, 4, 5, 6]
