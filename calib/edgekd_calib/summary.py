"""What is in an ONNX file: operators, the precision of every layer, Q/DQ coverage, cost, and what TensorRT would reject."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from edgekd_calib.graph import load_graph, producers, tensor_types
from edgekd_calib.rules import tensorrt_faults

LAYERS = ("Conv", "MatMul", "Gemm")
_NAMES = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}


@dataclass(frozen=True)
class Layer:
    """One layer with weights.

    Attributes:
        name, op: Of the node.
        precision: ``int8`` where it reads a dequantised input and dequantised weights, else the type of its input.
        gflops: 10⁹ operations an image; a multiply-add is two.
    """

    name: str
    op: str
    precision: str
    gflops: float


@dataclass(frozen=True)
class Summary:
    """Of one ONNX file.

    Attributes:
        inputs, outputs: Name → ``uint8 1x360x480x3``.
        opset: Of the default domain.
        operators: Count by type.
        layers: Those with weights, in order.
        quantised: Share of the layers' operations that is INT8, 0–1.
        parameters_m: Millions of weights.
        size_bytes: Of the file.
        tensorrt: What TensorRT would reject, a sentence each.
    """

    inputs: dict[str, str]
    outputs: dict[str, str]
    opset: int
    operators: dict[str, int]
    layers: list[Layer]
    quantised: float
    parameters_m: float
    size_bytes: int
    tensorrt: list[str]

    @property
    def gflops(self) -> float:
        """Of all layers."""
        return sum(layer.gflops for layer in self.layers)

    @property
    def precisions(self) -> dict[str, int]:
        """Layers by precision."""
        return dict(Counter(layer.precision for layer in self.layers))

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dictionary."""
        return asdict(self) | {"gflops": self.gflops, "precisions": self.precisions}


def summarise(file: Path) -> Summary:
    """Read an ONNX file.

    Raises:
        EdgeKDError: If it is missing, or no ONNX file.
    """
    model = load_graph(file)
    graph, types, made_by = model.graph, tensor_types(model), producers(model.graph)
    shapes = _shapes(model)
    weighted = [node for node in graph.node if node.op_type in LAYERS]
    layers = [Layer(node.name, node.op_type, _precision(node, types, made_by), _gflops(node, shapes)) for node in weighted]
    total = sum(layer.gflops for layer in layers)
    return Summary(
        inputs={item.name: _typed(item) for item in graph.input},
        outputs={item.name: _typed(item) for item in graph.output},
        opset=next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx")),
        operators=dict(Counter(node.op_type for node in graph.node).most_common()),
        layers=layers,
        quantised=sum(layer.gflops for layer in layers if layer.precision == "int8") / total if total else 0.0,
        parameters_m=sum(int(np.prod(item.dims)) for item in graph.initializer) / 1e6,
        size_bytes=file.stat().st_size,
        tensorrt=tensorrt_faults(model),
    )


def _precision(node: Any, types: dict[str, int], made_by: dict[str, Any]) -> str:
    sources = [made_by.get(name) for name in node.input[:2]]
    if all(source is not None and source.op_type == "DequantizeLinear" for source in sources):
        return "int8"
    return _NAMES.get(types.get(node.input[0], 0), "other")


def _shapes(model: Any) -> dict[str, list[int]]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    found = {item.name: _dimensions(item) for item in [*graph.value_info, *graph.input, *graph.output]}
    return found | {item.name: list(item.dims) for item in graph.initializer}


def _dimensions(item: Any) -> list[int]:
    """Sizes; one where the batch is dynamic."""
    return [size.dim_value or 1 for size in item.type.tensor_type.shape.dim]


def _gflops(node: Any, shapes: dict[str, list[int]]) -> float:
    result, weight = shapes.get(node.output[0], []), shapes.get(node.input[1], [])
    each = np.prod(weight[1:]) if node.op_type == "Conv" else shapes.get(node.input[0], [0])[-1]
    return float(2 * np.prod(result) * each / 1e9) if result else 0.0


def _typed(item: Any) -> str:
    kind = TensorProto.DataType.Name(item.type.tensor_type.elem_type).lower()
    sizes = [size.dim_param or str(size.dim_value) for size in item.type.tensor_type.shape.dim]
    return f"{kind} {'x'.join(sizes)}"
