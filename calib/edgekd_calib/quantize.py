"""INT8 as Q/DQ pairs in the graph, in the form that TensorRT fuses and CPUs run: symmetric, weights per channel, float bias.

Pairs stand at the inputs of the quantised operators only. A pair between a convolution and the ReLU6 behind it would spend most
of its levels on values that are then clipped, and would keep the two from being fused.
"""

import logging
from collections.abc import Collection
from typing import Any, Literal

import numpy as np
import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from edgekd_calib.graph import consumers, drop_unused, network_nodes, producers
from edgekd_calib.table import CalibrationTable

QUANTISED = ("Conv", "Add", "MaxPool", "AveragePool", "GlobalAveragePool")
WeightBits = Literal[7, 8]


def quantised_layers(graph: Any) -> list[str]:
    """Names of the nodes that INT8 is for, in order: those of the network proper, without the classifier."""
    return [node.name for node in network_nodes(graph)[:-1] if node.op_type in QUANTISED]


def kept_by_design(graph: Any) -> dict[str, str]:
    """Products that stay in FP32 in every INT8 model: name → the reason."""
    classifier = "the classifier: under 1 % of the work, and its rounding goes straight into the class map"
    product = "pooling or attention: no trained weights, under 1 % of the work"
    nodes = network_nodes(graph)
    return {node.name: product for node in nodes if node.op_type == "MatMul"} | {node.name: classifier for node in nodes[-1:]}


def quantize(model: Any, table: CalibrationTable, *, weight_bits: WeightBits = 7, keep: Collection[str] = ()) -> Any:
    """A copy with Q/DQ pairs.

    Args:
        model: FP32 ModelProto.
        table: Ranges of its tensors.
        weight_bits: 8, or 7 for CPUs without VNNI, whose 16-bit sums of two products saturate with 8.
        keep: Names of nodes that stay in FP32.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    names = [name for name in quantised_layers(model.graph) if name not in keep]
    if not names:
        return copy
    ranges = {name: (np.float32(-value), np.float32(value)) for name, value in table.ranges.items()}
    quantizer = QDQQuantizer(
        copy,
        per_channel=True,
        reduce_range=weight_bits == 7,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, ranges),
        nodes_to_quantize=names,
        nodes_to_exclude=[],
        op_types_to_quantize=list(QUANTISED),
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "AddQDQPairToWeight": True,
            "OpTypesToExcludeOutputQuantization": list(QUANTISED),
        },
    )
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        quantizer.quantize_model()
    finally:
        logging.root.setLevel(level)
    quantizer.model.topological_sort()
    result = quantizer.model.model
    _free_residual_branch(result.graph)
    drop_unused(result.graph)
    onnx.checker.check_model(result, full_check=True)
    return result


def _free_residual_branch(graph: Any) -> None:
    """Take the pair off one input of each Add: the one that a convolution alone feeds, so that it fuses with the Add."""
    made_by, read_by = producers(graph), consumers(graph)
    for node in graph.node:
        if node.op_type != "Add":
            continue
        for index, name in enumerate(node.input):
            source = _before_pair(name, made_by)
            if source and source in made_by and made_by[source].op_type == "Conv" and len(read_by[source]) == 1:
                node.input[index] = source
                break


def _before_pair(name: str, made_by: dict[str, Any]) -> str | None:
    """What enters the Q/DQ pair that makes this tensor."""
    dequantize = made_by.get(name)
    quantize_node = made_by.get(dequantize.input[0]) if dequantize is not None and dequantize.op_type == "DequantizeLinear" else None
    return str(quantize_node.input[0]) if quantize_node is not None else None
