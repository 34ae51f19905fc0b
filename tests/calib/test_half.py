"""Half precision: types in the graph, values beside ONNX Runtime's own converter, and the range check."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator
from onnxruntime.transformers.float16 import convert_float_to_float16

from edgekd_calib.graph import run_graph, scores_tensor, tensor_types
from edgekd_calib.half import LARGEST, half_nodes, out_of_range, to_half
from tests.calib.conftest import FLOAT, UINT8, make_graph, noise


def scores(model, images):
    return np.concatenate([outputs[0] for outputs in run_graph(model, images, [scores_tensor(model.graph)])]).astype(np.float32)


def test_fp16_rounds_as_onnxruntimes_converter_does(residual):
    images = noise(2)
    ours = scores(to_half(residual, "fp16"), images)
    copy = onnx.ModelProto()
    copy.CopyFrom(residual)
    theirs = scores(convert_float_to_float16(copy, keep_io_types=True), images)
    exact = scores(residual, images)
    error, their_error = (float(np.abs(given - exact).mean() / np.abs(exact).mean()) for given in (ours, theirs))
    assert 1e-5 < error < 1.5 * their_error + 1e-4


@pytest.mark.parametrize(("precision", "kind"), [("fp16", TensorProto.FLOAT16), ("bf16", TensorProto.BFLOAT16)])
def test_layers_are_half_and_inputs_and_outputs_are_not(residual, precision, kind):
    result = to_half(residual, precision)
    types = tensor_types(result)
    assert all(types[node.input[0]] == types[node.input[1]] == kind for node in result.graph.node if node.op_type == "Conv")
    assert [item.type.tensor_type.elem_type for item in (*result.graph.input, *result.graph.output)] == [UINT8, UINT8]
    assert sum(item.data_type == kind for item in result.graph.initializer) > 50


def test_kept_nodes_stay_float(residual):
    name = next(node.name for node in residual.graph.node if node.op_type == "Conv")
    assert name in half_nodes(residual, "fp16")
    result = to_half(residual, "fp16", [name])
    types = tensor_types(result)
    kinds = {node.name: types[node.input[1]] for node in result.graph.node if node.op_type == "Conv"}
    assert kinds.pop(name) == FLOAT and set(kinds.values()) == {TensorProto.FLOAT16}


def overflowing(gain):
    """A sum that leaves fp16's range where `gain` is large, and comes back."""
    weights = {
        "w": np.full((2, 3, 1, 1), gain, np.float32),
        "v": np.full((1, 2, 1, 1), 1 / gain, np.float32),
    }
    nodes = [
        (("Cast", ["image"], ["f"]), {"to": FLOAT}),
        (("Conv", ["f", "w"], ["large"]), {}),
        (("Conv", ["large", "v"], ["y"]), {}),
    ]
    return make_graph(nodes, {"image": (UINT8, (1, 3, 4, 4))}, {"y": (FLOAT, (1, 1, 4, 4))}, weights)


def evaluated(model, image):
    """By the ONNX reference, because ONNX Runtime's CPU computes fp16 in float32."""
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(model).run(None, {"image": image})


def test_what_overflows_is_found_and_keeping_it_mends_it():
    image = np.full((1, 3, 4, 4), 200, np.uint8)
    model = overflowing(300.0)
    beyond = out_of_range(model, [image], LARGEST["fp16"])
    assert set(beyond) == {"n1", "n2"} and beyond["n1"] == pytest.approx(180_000)
    (broken,) = evaluated(to_half(model, "fp16"), image)
    assert not np.isfinite(broken).all()
    (mended,) = evaluated(to_half(model, "fp16", beyond), image)
    assert mended == pytest.approx(1200, rel=1e-3) and mended.dtype == np.float32
    assert out_of_range(overflowing(2.0), [image], LARGEST["fp16"]) == {}
    assert out_of_range(model, [image], LARGEST["bf16"]) == {}
