"""The forms of INT8, as data: what a CPU runs fast is not what TensorRT accepts. One calibration serves both."""

from dataclasses import dataclass
from typing import Any, Literal

from onnxruntime.quantization import QuantType

from edgekd_runtime.artifact import CPU, TENSORRT

WeightBits = Literal[7, 8]
FOLLOWING = ("Relu", "Clip", "MaxPool", "AveragePool", "Resize")
"""What goes with the layer that it reads: activations lie in its range, and the others move integers, or average them, in its scale."""


@dataclass(frozen=True)
class Form:
    """How INT8 is written for a target. Weights are signed, per output channel, and stored in 8 bits in all of them.

    Attributes:
        target: What runs it, as a sidecar has it.
        layers: Operators that are quantised, each of which may be kept in FP32.
        activations: Type of the activations.
        symmetric: Their zero point is 0, whatever the low end of the range is.
        integer_bias: Bias in int32, in the scale of the products; float otherwise.
        fused: Results are rounded too, with the activation behind them folded into the range, so that integers go from layer to layer
            and through what is `FOLLOWING`.
            Otherwise pairs stand at the inputs alone: one between a convolution and the ReLU6 behind it would spend most of its
            levels on what is then clipped, and would keep the two from being fused.
        constants: An Add of a constant (a position embedding, GELU's 1) is quantised too. TensorRT takes no quantised constants there.
        weight_bits: Where none are asked for. 7 for CPUs: without VNNI they add two 8-bit products in 16 bits, and saturate with 8.
    """

    target: str
    layers: tuple[str, ...]
    activations: QuantType
    symmetric: bool
    integer_bias: bool
    fused: bool
    constants: bool
    weight_bits: WeightBits

    @property
    def options(self) -> dict[str, Any]:
        """For `onnxruntime.quantization`."""
        return {
            "ActivationSymmetric": self.symmetric,
            "WeightSymmetric": True,
            "QuantizeBias": self.integer_bias,
            "OpTypesToExcludeOutputQuantization": [] if self.fused else list(self.layers),
        }


FORMS = {
    form.target: form
    for form in (
        Form(
            target=CPU,
            layers=("Conv", "Add", "Mul", "Sigmoid", "Concat", "GlobalAveragePool"),
            activations=QuantType.QUInt8,
            symmetric=False,
            integer_bias=True,
            fused=True,
            constants=True,
            weight_bits=7,
        ),
        Form(
            target=TENSORRT,
            layers=("Conv", "Add", "GlobalAveragePool"),
            activations=QuantType.QInt8,
            symmetric=True,
            integer_bias=False,
            fused=False,
            constants=False,
            weight_bits=8,
        ),
    )
}
CALIBRATED = tuple(dict.fromkeys(op for form in FORMS.values() for op in (*form.layers, *FOLLOWING)))
"""Operators around which ranges are taken, for whatever form."""
