"""What TensorRT's parser rejects though ONNX allows it and ONNX Runtime runs it: found here first, with the node's name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from edgekd_calib.graph import constants, tensor_types
from edgekd_runtime.errors import EdgeKDError


@dataclass(frozen=True)
class _Node:
    """A node with what the rules ask of it."""

    node: Any
    types: dict[str, int]
    values: dict[str, Any]

    def type_of(self, index: int) -> int | None:
        return self.types.get(self.node.input[index]) if index < len(self.node.input) else None

    def value_of(self, index: int) -> Any:
        return self.values.get(self.node.input[index]) if index < len(self.node.input) else None

    def attribute(self, name: str) -> int:
        return next((int(item.i) for item in self.node.attribute if item.name == name), 0)


def _uint8(given: _Node) -> bool:
    return given.node.op_type != "Cast" and given.type_of(0) == TensorProto.UINT8


def _int32_bias(given: _Node) -> bool:
    return given.node.op_type == "DequantizeLinear" and given.type_of(0) == TensorProto.INT32


def _asymmetric(given: _Node) -> bool:
    zero = given.value_of(2)
    return given.node.op_type in ("QuantizeLinear", "DequantizeLinear") and zero is not None and bool(np.any(zero))


def _unsigned(given: _Node) -> bool:
    return given.node.op_type in ("QuantizeLinear", "DequantizeLinear") and given.type_of(2) == TensorProto.UINT8


def _antialias(given: _Node) -> bool:
    return given.node.op_type == "Resize" and given.attribute("antialias") == 1


def _unknown(given: _Node) -> bool:
    return given.node.domain not in ("", "ai.onnx") or given.node.op_type in UNSUPPORTED


UNSUPPORTED = frozenset({"DeformConv", "Unique", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"})
RULES: list[tuple[Callable[[_Node], bool], str]] = [
    (_uint8, "reads uint8, which TensorRT computes nothing with: cast to float first"),
    (_int32_bias, "dequantises an int32 bias, which TensorRT rejects: keep the bias in float (QuantizeBias=False)"),
    (_unsigned, "quantises to uint8, TensorRT only to int8: use symmetric int8 activations"),
    (_asymmetric, "has a zero point other than 0: quantise symmetrically"),
    (_antialias, "resizes with antialias=1, which TensorRT lacks: resize without, or before the network"),
    (_unknown, "is an operator that TensorRT does not have: replace it in the model"),
]


def tensorrt_faults(model: Any) -> list[str]:
    """A sentence for each node that TensorRT would reject, with its name and the mend.

    Args:
        model: ModelProto.
    """
    types, values = tensor_types(model), constants(model.graph)
    faults = []
    for node in model.graph.node:
        given = _Node(node, types, values)
        wrong = next((mend for rule, mend in RULES if rule(given)), None)
        if wrong:
            faults.append(f"{node.op_type} {node.name!r} {wrong}")
    return faults


def require_tensorrt(model: Any, source: str) -> None:
    """Raise for the first fault.

    Raises:
        EdgeKDError: Naming the file, the node and the mend.
    """
    faults = tensorrt_faults(model)
    if faults:
        raise EdgeKDError(f"TensorRT can't build {source}: {faults[0]}{f' (and {len(faults) - 1} more)' if len(faults) > 1 else ''}.")
