"""What the layers of a network and of an engine compute in, against what the sidecar says. A silent FP32 is an error."""

import json
from collections import Counter
from typing import Any

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.trt.api import trt

TYPES = {"FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "INT8": "int8"}


def layer_precisions(network: "trt.INetworkDefinition") -> dict[str, str]:
    """What each convolution and matrix product works in: ``int8`` where it reads a dequantised tensor, else its output's type."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    dequantised = {layer.get_output(0).name for layer in layers if layer.type == trt.LayerType.DEQUANTIZE}
    products = (trt.LayerType.CONVOLUTION, trt.LayerType.MATRIX_MULTIPLY)
    return {
        layer.name: "int8" if layer.get_input(0).name in dequantised else TYPES.get(layer.get_output(0).dtype.name, "other")
        for layer in layers
        if layer.type in products
    }


def require_precision(network: "trt.INetworkDefinition", artifact: Artifact) -> None:
    """Refuse a network with a layer in another precision than its sidecar says.

    Raises:
        EdgeKDError: Naming the layer.
    """
    kept = artifact.reduction.get("kept", {})
    wanted = artifact.precision.partition("-")[0]  # of int8-fp16 the layers are int8
    for name, precision in layer_precisions(network).items():
        if precision != wanted and name not in kept:
            raise EdgeKDError(
                f"The layer {name} would run in {precision}, though {artifact.name} is {artifact.precision} and does not list it as kept; "
                "run `edgekd export` again."
            )


def engine_layers(engine: "trt.ICudaEngine") -> list[dict[str, Any]]:
    """TensorRT's own description of each layer of a built engine. Not run here: it needs a GPU."""
    report = json.loads(engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))
    return [layer for layer in report["Layers"] if isinstance(layer, dict)]


def engine_precisions(layers: list[dict[str, Any]]) -> Counter[str]:
    """Layers of a built engine by what they work in, from `engine_layers`."""
    return Counter(_type(layer) for layer in layers if layer.get("Inputs"))


def require_engine_precision(layers: list[dict[str, Any]], artifact: Artifact) -> None:
    """Refuse a built engine with a convolution in FP32 that its sidecar does not list as kept. A fused layer's name holds its nodes'.

    Raises:
        EdgeKDError: Naming the layer; or if the engine does not tell its layers.
    """
    products = [layer for layer in layers if "conv" in str(layer.get("LayerType", "")).lower() and layer.get("Inputs")]
    if not products:
        raise EdgeKDError(f"The engine of {artifact.name} lists no convolution, so its precision can't be checked; build it again.")
    kept = artifact.reduction.get("kept", {})
    silent = [layer for layer in products if _type(layer) == "fp32" and not any(name in layer["Name"] for name in kept)]
    if artifact.precision != "fp32" and silent:
        raise EdgeKDError(
            f"TensorRT built {silent[0]['Name']} of {artifact.name} in fp32 ({len(silent)} such layers); "
            "do not trust its latency: build with another TensorRT version, and report it."
        )


def _type(layer: dict[str, Any]) -> str:
    """Of the first input, e.g. ``Format/Datatype: "Channel major FP16 format"`` or ``Half``: an INT8 layer may well give FP32."""
    words = str(layer["Inputs"][0].get("Format/Datatype", "")).lower()
    names = {"fp16": "fp16", "half": "fp16", "bf16": "bf16", "int8": "int8", "fp32": "fp32", "float": "fp32"}
    return next((name for word, name in names.items() if word in words), "other")
