"""INT8 as Q/DQ pairs in the graph, in the form that its target runs fast; see `edgekd_calib.forms`."""

import logging
from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from edgekd_calib.forms import CALIBRATED, FOLLOWING, Form, WeightBits
from edgekd_calib.graph import consumers, drop_unused, network_nodes, producers
from edgekd_calib.table import CalibrationTable

_FLOAT = "BatchNormalization"
"""One that no convolution stands before, or the export would have folded it."""


def quantised_layers(graph: Any, form: Form) -> list[str]:
    """Names of the nodes that INT8 is for, in order: those of the network proper, without the classifier.

    A Concat that a batch norm alone reads stays: that is computed in float, so integers gain nothing, and OpenVINO 2026.4 crashes on
    some (the pyramids of PIDNet and DDRNet).
    """
    constants = set() if form.constants else {initializer.name for initializer in graph.initializer}
    nodes = [node for node in network_nodes(graph)[:-1] if node.op_type in form.layers]
    readers = consumers(graph)
    idle = {
        node.name for node in nodes if node.op_type == "Concat" and {one.op_type for one in readers.get(node.output[0], ())} == {_FLOAT}
    }
    return [node.name for node in nodes if node.name not in idle and (node.op_type != "Add" or constants.isdisjoint(node.input))]


def quantised_tensors(graph: Any) -> set[str]:
    """What some form may round: all that its layers, and what goes with them, read and give."""
    nodes = [node for node in network_nodes(graph)[:-1] if node.op_type in CALIBRATED]
    return {name for node in nodes for name in (*node.input, *node.output)}


def kept_by_design(graph: Any) -> dict[str, str]:
    """Products that stay in FP32 in every INT8 model: name → the reason."""
    classifier = "the classifier: under 1 % of the work, and its rounding goes straight into the class map"
    reasons = {
        "MatMul": "pooling or attention: no trained weights, under 1 % of the work",
        "Gemm": "a transformer's linear layer: only convolutions, additions and pooling are rounded",
    }
    nodes = network_nodes(graph)
    return {node.name: reasons[node.op_type] for node in nodes if node.op_type in reasons} | {node.name: classifier for node in nodes[-1:]}


def quantize(model: Any, table: CalibrationTable, form: Form, *, weight_bits: WeightBits | None = None, keep: Collection[str] = ()) -> Any:
    """A copy with Q/DQ pairs.

    Args:
        model: FP32 ModelProto.
        table: Ranges of its tensors.
        form: One of `edgekd_calib.forms.FORMS`.
        weight_bits: 7 or 8; the form's own where absent.
        keep: Names of nodes that stay in FP32.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    names = [name for name in quantised_layers(model.graph, form) if name not in keep]
    if not names:
        return copy
    ranges = {name: (np.float32(low), np.float32(high)) for name, (low, high) in table.ranges.items()}
    quantizer = QDQQuantizer(
        copy,
        per_channel=True,
        reduce_range=(weight_bits or form.weight_bits) == 7,
        weight_qType=QuantType.QInt8,
        activation_qType=form.activations,
        tensors_range=TensorsData(CalibrationMethod.MinMax, ranges),
        nodes_to_quantize=_with_following(model.graph, names) if form.fused else names,
        nodes_to_exclude=[],
        op_types_to_quantize=[*form.layers, *FOLLOWING],
        extra_options=form.options,
    )
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        quantizer.quantize_model()
    finally:
        logging.root.setLevel(level)
    quantizer.model.topological_sort()
    result = quantizer.model.model
    if not form.fused:
        _free_residual_branch(result.graph)
    drop_unused(result.graph)
    onnx.checker.check_model(result, full_check=True)
    return result


def _with_following(graph: Any, names: Collection[str]) -> list[str]:
    """These nodes, and what goes with them."""
    made_by, chosen = producers(graph), list(names)
    for node in network_nodes(graph)[:-1]:  # in order, so that one may follow another
        if node.op_type in FOLLOWING and node.input[0] in made_by and made_by[node.input[0]].name in chosen:
            chosen.append(node.name)
    return chosen


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
