"""Where the Q/DQ pairs of each form stand, what their scales are, and that the target's runtime computes what is written."""

import numpy as np
import onnx
import onnxruntime
import pytest

from edgekd_calib.forms import FORMS
from edgekd_calib.graph import constants, consumers, network_nodes, producers, run_graph, scores_tensor
from edgekd_calib.quantize import kept_by_design, quantised_layers, quantize
from tests.calib.conftest import INT32, make_graph, noise, table_of


@pytest.fixture(scope="module")
def calibrated(residual):
    images = noise(3)
    return residual, images, table_of(residual, images)


@pytest.fixture(scope="module", params=FORMS.values(), ids=list(FORMS))
def quantised(request, calibrated):
    model, _, table = calibrated
    return request.param, quantize(model, table, request.param, weight_bits=8)


def snr(expected, given):
    return 10 * np.log10(np.square(expected).sum() / np.square(expected - given).sum())


def scores(model, images, **options):
    return next(run_graph(model, images, [scores_tensor(model.graph)], **options))[0]


def test_every_layer_but_the_classifier_reads_quantised_input_and_weights(calibrated, quantised):
    model, (form, result) = calibrated[0], quantised
    made_by, values = producers(result.graph), constants(result.graph)
    last = next(iter(kept_by_design(model.graph)))
    for node in (node for node in result.graph.node if node.op_type == "Conv"):
        image, weight = (made_by.get(name) for name in node.input[:2])
        if node.name == last:
            assert node.input[1] in values
            continue
        assert image.op_type == weight.op_type == "DequantizeLinear", node.name
        assert values[weight.input[0]].dtype == np.int8  # stored so, not in float before a pair
    assert last == network_nodes(model.graph)[-1].name and last not in quantised_layers(model.graph, form)
    assert len(result.SerializeToString()) < 0.3 * len(model.SerializeToString())


def test_for_tensorrt_no_pair_stands_between_a_convolution_and_what_it_fuses_with(calibrated):
    model, _, table = calibrated
    form = FORMS["tensorrt"]
    result = quantize(model, table, form)
    made_by, read_by = producers(result.graph), consumers(result.graph)
    added = 0
    for node in result.graph.node:
        if node.op_type == "Clip":
            assert made_by[node.input[0]].op_type == "Conv"
        if node.op_type == "Add" and node.input[0] in made_by and node.name in quantised_layers(model.graph, form):
            sources = sorted(made_by[name].op_type for name in node.input)
            assert sources == ["Conv", "DequantizeLinear"]
            added += 1
    assert added >= 5
    assert not any(len(read_by[node.output[0]]) == 0 for node in result.graph.node if node.op_type == "DequantizeLinear")


def test_for_tensorrt_scales_are_the_tables_and_zero_points_are_zero(calibrated):
    model, _, table = calibrated
    result = quantize(model, table, FORMS["tensorrt"])
    values, made_by = constants(result.graph), producers(result.graph)
    for node in result.graph.node:
        if node.op_type != "QuantizeLinear":
            continue
        assert not values[node.input[2]].any() and values[node.input[2]].dtype == np.int8
        if node.input[0] in made_by and node.input[0] in table.ranges:
            assert values[node.input[1]] == pytest.approx(table.scales[node.input[0]], rel=0.01)
    assert not any(kind == np.int32 for kind in (values[node.input[0]].dtype for node in result.graph.node if node.input[0] in values))


def test_for_cpus_integers_go_from_layer_to_layer(calibrated, tmp_path):
    """ONNX Runtime makes one integer kernel of each layer, with its activation inside; one pair too few would leave a float one."""
    model, _, table = calibrated
    result = quantize(model, table, FORMS["cpu"])
    onnx.save(result, tmp_path / "int8.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(tmp_path / "int8.onnx"), options, providers=["CPUExecutionProvider"])
    run = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    asked = [node.op_type for node in network_nodes(model.graph)]
    assert run.count("QLinearConv") == asked.count("Conv") - 1 and run.count("Conv") == 1
    assert run.count("QLinearAdd") == asked.count("Add") and "Clip" not in run and "Relu" not in run
    assert run.count("QuantizeLinear") <= 3 and run.count("DequantizeLinear") <= 3  # into it, out of it, and around the mean over the image


def test_for_cpus_ranges_fill_the_levels_and_the_bias_is_an_integer(calibrated):
    model, _, table = calibrated
    result = quantize(model, table, FORMS["cpu"])
    values, made_by = constants(result.graph), producers(result.graph)
    checked = 0
    for node in result.graph.node:
        if node.op_type == "QuantizeLinear":
            scale, zero = (values[name] for name in node.input[1:])
            assert zero.dtype == np.uint8
            if node.input[0] in table.ranges:  # the tensor itself, or the activation's that was folded into it
                low, high = table.ranges[node.input[0]]
                spanned = [-int(zero) * scale, (255 - int(zero)) * scale]
                np.testing.assert_allclose(spanned, [min(low, 0.0), max(high, 0.0)], atol=0.6 * scale)
                checked += 1
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[1] in made_by:
            bias, image, weight = (made_by[node.input[index]] for index in (2, 0, 1))
            assert values[bias.input[0]].dtype == onnx.helper.tensor_dtype_to_np_dtype(INT32)
            np.testing.assert_allclose(values[bias.input[1]], values[image.input[1]] * values[weight.input[1]], rtol=1e-6)
    assert checked > 50


@pytest.mark.parametrize(("bits", "most"), [(7, 64), (8, 127)])
def test_weights_use_their_bits_per_channel(calibrated, quantised, bits, most):
    model, images, table = calibrated
    result = quantize(model, table, quantised[0], weight_bits=bits)
    values, made_by = constants(result.graph), producers(result.graph)
    layer = next(node for node in result.graph.node if node.op_type == "Conv")
    pair = made_by[layer.input[1]]
    weight, scale = (values[name] for name in pair.input[:2])
    assert scale.shape == (len(weight),)
    assert np.abs(weight.astype(int)).max((1, 2, 3)).tolist() == pytest.approx([most] * len(weight), abs=1)
    expected, given = (scores(graph, images[:1], optimise=False) for graph in (model, result))
    assert snr(expected, given) > 12


def test_the_kernels_compute_what_is_written(calibrated):
    """With the default weights of CPUs no product saturates, so integers and the float arithmetic of the pairs agree."""
    model, images, table = calibrated
    result = quantize(model, table, FORMS["cpu"])
    written, run = (scores(result, images[:1], optimise=optimise) for optimise in (False, True))
    assert snr(written, run) > 30


def test_kept_layers_stay_as_they_are(calibrated, quantised):
    model, images, table = calibrated
    form, whole = quantised
    layers = quantised_layers(model.graph, form)
    kept = quantize(model, table, form, keep=layers)
    assert not any(node.op_type == "QuantizeLinear" for node in kept.graph.node)
    np.testing.assert_allclose(scores(kept, images[:1]), scores(model, images[:1]), rtol=1e-4, atol=1e-4)
    half = quantize(model, table, form, keep=layers[: len(layers) // 2])
    assert 0 < sum(n.op_type == "QuantizeLinear" for n in half.graph.node) < sum(n.op_type == "QuantizeLinear" for n in whole.graph.node)
    floats = {node.name for node in half.graph.node if node.op_type == "Conv" and node.input[1] in constants(half.graph)}
    assert floats == {name for name in layers[: len(layers) // 2] if "Conv" in name} | {network_nodes(model.graph)[-1].name}


def test_a_concat_that_a_batch_norm_alone_reads_stays():
    nodes = [
        (("Conv", ["x", "w"], ["a"]), {}),
        (("Concat", ["x", "a"], ["b"]), {"axis": 1}),
        (("BatchNormalization", ["b", *"2222"], ["c"]), {}),
        (("Concat", ["b2", "a"], ["d"]), {"axis": 1}),
        (("Conv", ["c", "w2"], ["b2"]), {}),
        (("Conv", ["d", "w2"], ["y"]), {}),
    ]
    nodes = [*nodes[:3], nodes[4], nodes[3], nodes[5]]
    weights = {"w": np.ones((1, 1, 1, 1), np.float32), "w2": np.ones((1, 2, 1, 1), np.float32), "2": np.ones(2, np.float32)}
    shape = (onnx.TensorProto.FLOAT, [1, 1, 4, 4])
    graph = make_graph(nodes, {"x": shape}, {"y": shape}, weights).graph
    assert quantised_layers(graph, FORMS["cpu"]) == ["n0", "n3", "n4"]  # the first Concat, n1, is not among them
