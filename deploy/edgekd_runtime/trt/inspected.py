"""What the layers of a built engine compute in, read off TensorRT's inspector, against what the sidecar says. A silent FP32 is an error.

The inspector's document differs by version and by the library that runs a layer (TensorRT guide, "Engine inspector"). A convolution is

- ``CaskConvolution`` and the like, with the type of its ``Weights`` and formats in words ("Channel major FP16 format …");
- ``gemm``, ``fusion`` or ``kgen`` where Myelin made it, called ``__myl_…``, with types as "Half", "Float" or "BFloat16";
- part of a ``DLA`` layer, which tells nothing of its inside;
- "N/A due to dynamic shapes" in each format where the shapes are dynamic; its kernel's name (``…_f16f16_f16f32_…``) still tells.

Which ONNX nodes a layer holds is in its ``Metadata`` (``[ONNX Layer: a]…[ONNX Layer: b]``), its own name may be anything.
"""

import json
import re
from collections import Counter
from typing import Any

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.trt.api import trt

UNKNOWN = "unknown"
_WORDS = {"bfloat16": "bf16", "bf16": "bf16", "fp16": "fp16", "half": "fp16", "int8": "int8", "fp8": "fp8", "fp32": "fp32", "float": "fp32"}
"""In the order in which they are looked for: "BFloat16" contains "float"."""
_KERNELS = (
    (r"_(?:i8|s8|u8)(?:i8|s8|u8|f16|bf16|f32|i32)_|int8|imma|_i8816", "int8"),
    (r"_bf16(?:bf16|f32)_|bf16", "bf16"),
    (r"_f16(?:f16|f32)_|_h\d{3,}|(?:^|_)fp16|hmma|hcudnn", "fp16"),
    (r"_t?f32t?f32_|sgemm|scudnn|(?:^|_)fp32", "fp32"),
)
"""How NVIDIA's kernels name what they multiply."""
_PRODUCT_TYPES = re.compile(r"conv(?!er)|gemm|matrixmultiply|matmul|fullyconnected", re.IGNORECASE)
_PRODUCT_KERNELS = re.compile(r"gemm|fprop|conv|xmma|cudnn|cutlass", re.IGNORECASE)
_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")


def engine_layers(engine: "trt.ICudaEngine") -> list[dict[str, Any]]:
    """TensorRT's own description of each layer of a built engine. Not run here: it needs a GPU."""
    report = json.loads(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))
    return [layer for layer in report["Layers"] if isinstance(layer, dict)]


def products(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers that multiply by weights: convolutions and matrix products, fused or not."""
    return [layer for layer in layers if _is_product(layer)]


def engine_precisions(layers: list[dict[str, Any]]) -> Counter[str]:
    """The `products` by what they work in; ``unknown`` where the inspector does not tell."""
    return Counter(layer_precision(layer) for layer in products(layers))


def nodes(layer: dict[str, Any]) -> set[str]:
    """Names of the ONNX nodes in a layer: its metadata's; of older engines, which have none, what its name joins by ``+``."""
    return set(_NODE.findall(str(layer.get("Metadata", "")))) or set(str(layer.get("Name", "")).split(" + "))


def layer_precision(layer: dict[str, Any]) -> str:
    """What a layer multiplies in: by its kernel's name, its weights' type, or the formats that it reads, where all of them agree."""
    kernel = re.sub(r"0x[0-9a-f]+", "", str(layer.get("TacticName", "")).lower())
    if not kernel.startswith("__myl"):  # such a name lists operators, "CastMulAdd"
        for pattern, precision in _KERNELS:
            if re.search(pattern, kernel):
                return precision
    weights = layer.get("Weights")
    if isinstance(weights, dict) and (precision := _word(str(weights.get("Type", "")))) != UNKNOWN:
        return precision
    read = [_word(str(tensor.get("Format/Datatype", ""))) for tensor in layer.get("Inputs") or () if isinstance(tensor, dict)]
    told = {precision for precision in read if precision != UNKNOWN}
    if "int8" in told:
        return "int8"  # beside its scales, which are FP32
    return told.pop() if len(told) == 1 else UNKNOWN


def require_engine_precision(layers: list[dict[str, Any]], artifact: Artifact) -> tuple[str, ...]:
    """Refuse a built engine with a convolution or matrix product in FP32 that its sidecar does not list as kept.

    Returns:
        What could not be decided, in sentences; empty where each product told what it works in.

    Raises:
        EdgeKDError: Naming the layer.
    """
    if artifact.precision == "fp32":
        return ()
    kept = set(artifact.reduction.get("kept", {}))
    weighted = products(layers)
    silent = [layer for layer in weighted if layer_precision(layer) == "fp32" and not nodes(layer) & kept]
    if silent:
        raise EdgeKDError(
            f"TensorRT built {silent[0]['Name']} of {artifact.name} in fp32 ({len(silent)} such layers); "
            "do not trust its latency: build with another TensorRT version, and report it."
        )
    found = engine_precisions(layers)
    if artifact.precision.startswith("int8") and weighted and not found["int8"] and not found[UNKNOWN]:
        raise EdgeKDError(
            f"TensorRT built no layer of {artifact.name} in int8 ({_listed(found)}); do not trust its latency, and report it."
        )
    if not weighted:
        kinds = ", ".join(sorted({str(layer.get("LayerType", "?")) for layer in layers})) or "none"
        return (f"what its layers work in can't be checked: TensorRT lists no convolution of it (kinds of layers: {kinds}).",)
    if found[UNKNOWN]:
        return (f"what {found[UNKNOWN]} of its {found.total()} weighted layers work in can't be checked: TensorRT does not tell.",)
    return ()


def _is_product(layer: dict[str, Any]) -> bool:
    kind, weights = str(layer.get("LayerType", "")).lower(), layer.get("Weights")
    if _PRODUCT_TYPES.search(kind):
        return True
    if isinstance(weights, dict) and weights.get("Count"):
        return kind not in ("constant", "scale", "reformat")
    kernel = re.sub(r"0x[0-9a-f]+", "", str(layer.get("TacticName", "")))
    return kind == "fusion" and not kernel.startswith("__myl") and bool(_PRODUCT_KERNELS.search(kernel))


def _word(text: str) -> str:
    return next((precision for word, precision in _WORDS.items() if word in text.lower()), UNKNOWN)


def _listed(found: Counter[str]) -> str:
    return ", ".join(f"{count} in {precision}" for precision, count in found.most_common())
