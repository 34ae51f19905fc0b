"""FP16 and BF16 in the graph itself, because TensorRT 11 has no other place for them: weights converted, casts at the borders."""

from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal

import numpy as np
import onnx
import onnx.version_converter
from onnx import TensorProto, helper

from edgekd_calib.graph import Image, drop_unused, run_graph, tensor_types

Half = Literal["fp16", "bf16"]
_TYPE = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
_STAYS_FLOAT = {"Resize": (1, 2)}
"""Inputs that the ONNX specification wants in float32."""
_PAIR = ("QuantizeLinear", "DequantizeLinear")
_SMALLEST_SCALE = 2.0**-14
"""FP16's smallest normal number: the scale of a channel without weights would become 0."""
OPSETS = {"bf16": 22, "int8-fp16": 19}
"""Where the precision is not in opset 18. TensorRT 10.3 reads up to 20, so BF16 needs a later one."""
NOT_IN = {"fp16": frozenset(), "bf16": frozenset({"HardSwish"})}
"""Operators that TensorRT lacks in this precision; they stay in FP32."""
LARGEST = {"fp16": 65504.0, "bf16": float(np.finfo(np.float32).max)}


def to_half(model: Any, precision: Half, keep: Collection[str] = ()) -> Any:
    """A copy whose nodes from the first convolution on work in half precision; inputs and outputs keep their types.

    Of an INT8 model the Q/DQ pairs change with their neighbours, so that none is parted from its convolution by a cast.

    Args:
        model: FP32 or INT8 ModelProto.
        precision: ``fp16`` or ``bf16``.
        keep: Names of nodes that stay in FP32.
    """
    pairs = any(node.op_type in _PAIR for node in model.graph.node)
    opset = OPSETS.get(f"int8-{precision}" if pairs else precision, model.opset_import[0].version)
    result = onnx.version_converter.convert_version(model, opset)
    _Conversion(result, _TYPE[precision], set(half_nodes(result, precision)) - set(keep)).run()
    onnx.checker.check_model(result, full_check=True)
    return result


def rounded(model: Any, precision: Half, keep: Collection[str] = ()) -> Any:
    """An FP32 copy with the values of half precision: weights rounded, and every result cast there and back.

    For runtimes that have no kernels of that precision, as ONNX Runtime's CPU for BF16.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    types, lowered = tensor_types(model), set(half_nodes(model, precision)) - set(keep)
    weights = {item.name: item for item in result.graph.initializer if item.data_type == TensorProto.FLOAT}
    nodes = []
    for node in result.graph.node:
        nodes.append(node)
        if node.name not in lowered:
            continue
        for index, name in enumerate(node.input):
            if name in weights and index not in _STAYS_FLOAT.get(node.op_type, ()):
                values = onnx.numpy_helper.to_array(weights[name])
                halved = helper.make_tensor(name, _TYPE[precision], values.shape, values.ravel())
                weights[name].CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(halved).astype(np.float32), name))
        for index, name in enumerate(node.output):
            if types.get(name) == TensorProto.FLOAT:
                node.output[index] = f"{name}_exact"
                nodes.append(helper.make_node("Cast", [f"{name}_exact"], [f"{name}_half"], to=_TYPE[precision]))
                nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    del result.graph.node[:], result.graph.value_info[:]
    result.graph.node.extend(nodes)
    return result


def half_nodes(model: Any, precision: Half) -> list[str]:
    """Names of the nodes that half precision is for: all that work on floats, from the first convolution on, and every Q/DQ pair."""
    types, nodes = tensor_types(model), list(model.graph.node)
    first = next((index for index, node in enumerate(nodes) if node.op_type == "Conv"), len(nodes))
    chosen = [node for index, node in enumerate(nodes) if index >= first or node.op_type in _PAIR]
    able = [node for node in chosen if node.op_type not in NOT_IN[precision]]
    return [node.name for node in able if any(types.get(name) == TensorProto.FLOAT for name in [*node.input, *node.output])]


class _Conversion:
    """One pass over the nodes in order, with the type that each tensor has by then."""

    def __init__(self, model: Any, half: int, lowered: set[str]) -> None:
        self.graph, self.half, self.lowered = model.graph, half, lowered
        self.types = tensor_types(model)
        self.weights = {item.name: item for item in self.graph.initializer}
        self.made: dict[tuple[str, int], str] = {}
        self.nodes: list[Any] = []

    def run(self) -> None:
        for node in list(self.graph.node):
            self._convert(node, self.half if node.name in self.lowered else TensorProto.FLOAT)
        for output in self.graph.output:
            self._restore(output)
        del self.graph.node[:], self.graph.value_info[:]
        self.graph.node.extend(self.nodes)
        drop_unused(self.graph)

    def _convert(self, node: Any, wanted: int) -> None:
        for index, name in enumerate(node.input):
            if self.types.get(name) in (TensorProto.FLOAT, self.half):
                stays = index in _STAYS_FLOAT.get(node.op_type, ())
                smallest = _SMALLEST_SCALE if node.op_type in _PAIR and index == 1 else -np.inf
                node.input[index] = self._as(name, TensorProto.FLOAT if stays else wanted, smallest)
        self.nodes.append(node)
        if wanted == TensorProto.FLOAT:
            return
        if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT:
            node.attribute[0].i = wanted
        for name in node.output:
            if self.types.get(name) == TensorProto.FLOAT:
                self.types[name] = wanted

    def _as(self, name: str, wanted: int, smallest: float) -> str:
        """The tensor in that type: itself, a converted weight (no value below `smallest`), or a cast of it."""
        if self.types[name] == wanted:
            return name
        if (name, wanted) not in self.made:
            other = self.made[name, wanted] = f"{name}_{TensorProto.DataType.Name(wanted).lower()}"
            self.types[other] = wanted
            if name in self.weights:
                values = np.maximum(onnx.numpy_helper.to_array(self.weights[name]), smallest).astype(np.float32)
                self.graph.initializer.append(helper.make_tensor(other, wanted, values.shape, values.ravel()))
            else:
                self.nodes.append(helper.make_node("Cast", [name], [other], name=f"cast_{other}", to=wanted))
        return self.made[name, wanted]

    def _restore(self, output: Any) -> None:
        """A graph output that has become half is cast back under its own name."""
        if self.types[output.name] != self.half:
            return
        inner = f"{output.name}_inner"
        for node in self.nodes:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == output.name:
                        names[index] = inner
        self.nodes.append(helper.make_node("Cast", [inner], [output.name], name=f"cast_{output.name}", to=TensorProto.FLOAT))


def out_of_range(model: Any, images: Iterable[Image], limit: float, update: Callable[[int], None] | None = None) -> dict[str, float]:
    """Nodes that meet a value beyond `limit` on these images, or hold one: name → the largest magnitude.

    Args:
        model: FP32 ModelProto.
        images: Calibration images.
        limit: `LARGEST` of the precision.
        update: Told of each image done.
    """
    types = tensor_types(model)
    names = [name for node in model.graph.node for name in node.output if types.get(name) == TensorProto.FLOAT]
    largest = {item.name: float(np.abs(onnx.numpy_helper.to_array(item)).max(initial=0)) for item in model.graph.initializer}
    for done, values in enumerate(run_graph(model, images, names), 1):
        for name, value in zip(names, values, strict=True):
            largest[name] = max(largest.get(name, 0.0), float(np.abs(value).max(initial=0)))
        if update is not None:
            update(done)
    worst = {node.name: max((largest.get(name, 0.0) for name in [*node.input, *node.output]), default=0.0) for node in model.graph.node}
    return {name: value for name, value in worst.items() if not value <= limit}
