"""Where the Q/DQ pairs stand, and what their scales are."""

import numpy as np
import pytest

from edgekd_calib.graph import constants, consumers, network_nodes, producers, run_graph, scores_tensor
from edgekd_calib.quantize import kept_by_design, quantised_layers, quantize
from tests.calib.conftest import noise, table_of


@pytest.fixture(scope="module")
def quantised(residual):
    images = noise(3)
    table = table_of(residual, images)
    return residual, images, table, quantize(residual, table, weight_bits=8)


def snr(expected, given):
    return 10 * np.log10(np.square(expected).sum() / np.square(expected - given).sum())


def test_every_layer_but_the_classifier_reads_quantised_input_and_weights(quantised):
    model, _, _, result = quantised
    made_by = producers(result.graph)
    convolutions = [node for node in result.graph.node if node.op_type == "Conv"]
    last = next(iter(kept_by_design(model.graph)))
    for node in convolutions:
        read = {made_by[name].op_type for name in node.input[:2] if name in made_by}
        assert (read == {"DequantizeLinear"}) == (node.name != last), node.name
    assert last == network_nodes(model.graph)[-1].name and last not in quantised_layers(model.graph)


def test_no_pair_stands_between_a_convolution_and_what_it_fuses_with(quantised):
    result = quantised[3]
    made_by, read_by = producers(result.graph), consumers(result.graph)
    added = 0
    for node in result.graph.node:
        if node.op_type == "Clip":
            assert made_by[node.input[0]].op_type == "Conv"
        if node.op_type == "Add" and node.input[0] in made_by and node.name in quantised_layers(quantised[0].graph):
            sources = sorted(made_by[name].op_type for name in node.input)
            assert sources == ["Conv", "DequantizeLinear"]
            added += 1
    assert added >= 5
    assert not any(len(read_by[node.output[0]]) == 0 for node in result.graph.node if node.op_type == "DequantizeLinear")


def test_scales_are_the_tables_and_zero_points_are_zero(quantised):
    _, _, table, result = quantised
    values, made_by = constants(result.graph), producers(result.graph)
    for node in result.graph.node:
        if node.op_type != "QuantizeLinear":
            continue
        assert not values[node.input[2]].any() and values[node.input[2]].dtype == np.int8
        if node.input[0] in made_by and node.input[0] in table.ranges:
            assert values[node.input[1]] == pytest.approx(table.ranges[node.input[0]] / 127, rel=0.01)


@pytest.mark.parametrize(("bits", "most"), [(7, 64), (8, 127)])
def test_weights_use_their_bits_per_channel(quantised, bits, most):
    model, images, table, _ = quantised
    result = quantize(model, table, weight_bits=bits)
    values, made_by = constants(result.graph), producers(result.graph)
    layer = next(node for node in result.graph.node if node.op_type == "Conv")
    pair = made_by[made_by[layer.input[1]].input[0]]
    weight, scale = values[pair.input[0]], values[pair.input[1]]
    assert scale.shape == (len(weight),)
    assert np.abs(np.round(weight / scale[:, None, None, None])).max((1, 2, 3)).tolist() == pytest.approx([most] * len(weight), abs=1)
    scores = scores_tensor(model.graph)
    expected, given = (next(run_graph(graph, images[:1], [scores], optimise=False))[0] for graph in (model, result))
    assert snr(expected, given) > 12


def test_kept_layers_stay_as_they_are(quantised):
    model, images, table, whole = quantised
    layers = quantised_layers(model.graph)
    kept = quantize(model, table, keep=layers)
    assert not any(node.op_type == "QuantizeLinear" for node in kept.graph.node)
    scores = scores_tensor(model.graph)
    expected = next(run_graph(model, images[:1], [scores]))[0]
    np.testing.assert_allclose(next(run_graph(kept, images[:1], [scores]))[0], expected, rtol=1e-4, atol=1e-4)
    half = quantize(model, table, keep=layers[: len(layers) // 2])
    assert 0 < sum(n.op_type == "QuantizeLinear" for n in half.graph.node) < sum(n.op_type == "QuantizeLinear" for n in whole.graph.node)
