"""What the layers of a parsed network compute in, against what the sidecar says."""

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
