"""An experiment of `int8.py`: the image enters the first convolution as the integers that it is, without a detour over floats.

With x the pixel and a·x + b its normalisation, conv(w, a·x + b) = conv(w·a, x − z) + Σ w·(b + a·z): the zero point z of the pixels
takes the place of the mean, and what is left of it goes into the bias. Inside the picture that is exact. At its border it is not where the
channels' means differ, because a convolution pads with the one zero point.
"""

from typing import Any

import numpy as np
import onnx
from onnx import helper

from edgekd_calib.graph import constants, drop_unused


def integer_stem(full: Any, quantised: Any) -> Any:
    """The quantised graph in the form for CPUs, with such a stem.

    Args:
        full: The FP32 graph that it was made from.
        quantised: The INT8 graph.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(quantised)
    graph = copy.graph
    values = constants(graph)
    pixelwise = [values[name] for node in graph.node if node.op_type in ("Mul", "Add") for name in node.input if name in values]
    scale, shift = (constant[0, 0, 0] for constant in pixelwise[:2])
    first = next(node for node in graph.node if node.op_type == "Conv")
    original = next(node for node in full.graph.node if node.name == first.name)
    weight, bias = (constants(full.graph)[name].astype(np.float64) for name in original.input[1:3])
    zero = int(np.clip(np.round(np.mean(-shift / scale)), 0, 255))
    folded = weight * scale[None, :, None, None]
    bias = bias + (weight * (shift + scale * zero)[None, :, None, None]).sum((1, 2, 3))
    step = np.maximum(np.abs(folded).max((1, 2, 3)) / 64, np.abs(bias) / 2**30)  # a channel without weights has a bias all the same
    made = {
        "stem_zero": np.array(zero, np.uint8),
        "stem_one": np.array(1, np.float32),
        "stem_weight": np.round(folded / step[:, None, None, None]).astype(np.int8),
        "stem_step": step.astype(np.float32),
        "stem_zeros": np.zeros(len(step), np.int8),
        "stem_bias": np.round(bias / step).astype(np.int32),
        "stem_bias_zeros": np.zeros(len(step), np.int32),
    }
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in made.items())
    new = [
        helper.make_node("Transpose", ["image"], ["stem_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["stem_planes", "stem_one", "stem_zero"], ["stem_image"]),
        helper.make_node("DequantizeLinear", ["stem_weight", "stem_step", "stem_zeros"], ["stem_w"], axis=0),
        helper.make_node("DequantizeLinear", ["stem_bias", "stem_step", "stem_bias_zeros"], ["stem_b"], axis=0),
    ]
    first.input[:] = ["stem_image", "stem_w", "stem_b"]
    nodes = [*new, *graph.node]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    drop_unused(graph)
    onnx.checker.check_model(copy, full_check=True)
    return copy
