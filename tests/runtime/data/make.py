"""Writes the models beside it: `python tests/runtime/data/make.py`.

They are committed because the runtime's tests run where there is no onnx.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = (40, 56)
CLASSES = 5
FILES = {"one.onnx": 1, "any.onnx": "batch"}
"""Name → images a call."""


def model(batch: int | str) -> onnx.ModelProto:
    """A convolution of random weights into 5 classes, with the operators of an export: uint8 in, class map out."""
    weight = np.random.default_rng(0).normal(size=(CLASSES, 3, 9, 9)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weight"], ["logits"], pads=[4] * 4),
        helper.make_node("ArgMax", ["logits"], ["best"], axis=1, keepdims=0),
        helper.make_node("Cast", ["best"], ["classes"], to=TensorProto.UINT8),
    ]
    entry = helper.make_tensor_value_info("image", TensorProto.UINT8, [batch, *SIZE, 3])
    result = helper.make_tensor_value_info("classes", TensorProto.UINT8, [batch, *SIZE])
    graph = helper.make_graph(nodes, "tiny", [entry], [result], [numpy_helper.from_array(weight, "weight")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10, producer_name="edgekd")


if __name__ == "__main__":
    for name, batch in FILES.items():
        onnx.save(model(batch), Path(__file__).with_name(name))
