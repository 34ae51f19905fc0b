"""Quantisation-aware training: convolutions see their inputs and weights rounded as the INT8 export will round them.

Inputs are rounded with a zero point for CPUs and without one for TensorRT, weights the same for both. With batch norm frozen, a scale per
output channel makes rounding a weight and rounding it with its batch norm folded in the same thing, so nothing has to be folded while
training. A run trained this way is exported like any other. Additions and pools, which the export rounds too, are left alone, and ranges
are those of each batch: the noise is the same within 1–2 dB, not the same numbers.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from edgekd.models import Network

WeightBits = Literal[7, 8]
Target = Literal["cpu", "tensorrt"]
LEVELS = {7: 64, 8: 127}
"""Positive levels of the weights, as `edgekd_calib.quantize` has them."""


class FakeQuant(TorchFunctionMode):
    """Within it every 2-d convolution rounds its input, per tensor, and its weight, per output channel.

    Gradients pass the rounding as if it were not there (straight-through estimator, Bengio et al. 2013).

    Args:
        weight_bits: 7 or 8.
        target: What the INT8 export is for.
        spared: Weight of a convolution that is left alone, or None.
    """

    def __init__(self, weight_bits: WeightBits, target: Target, spared: Tensor | None = None) -> None:
        super().__init__()
        self.levels, self.round_input, self.spared = LEVELS[weight_bits], ROUND_INPUT[target], spared

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d and args[1] is not self.spared:
            image, weight, *rest = args
            args = (self.round_input(image), round_channels(weight, self.levels), *rest)
        return func(*args, **(kwargs or {}))


def round_symmetric(x: Tensor) -> Tensor:
    """Round to 255 levels around 0, the widest at the largest magnitude."""
    x = x.float()
    scale = x.detach().abs().amax().clamp_min(1e-12) / 127
    return torch.fake_quantize_per_tensor_affine(x, scale, torch.zeros_like(scale, dtype=torch.int32), -127, 127)


def round_between(x: Tensor) -> Tensor:
    """Round to 256 levels from the lowest to the highest value, one of which is 0."""
    x = x.float()
    low, high = x.detach().amin().clamp_max(0), x.detach().amax().clamp_min(0)
    scale = (high - low).clamp_min(1e-12) / 255
    return torch.fake_quantize_per_tensor_affine(x, scale, (-low / scale).round().int(), 0, 255)


ROUND_INPUT = {"cpu": round_between, "tensorrt": round_symmetric}
"""As `edgekd_calib.forms.FORMS` has it."""


def round_channels(weight: Tensor, levels: int) -> Tensor:
    """Round each output channel of O×I×h×w to 2·levels + 1 symmetric levels."""
    weight = weight.float()
    scale = weight.detach().abs().amax((1, 2, 3)).clamp_min(1e-12) / levels
    return torch.fake_quantize_per_channel_affine(weight, scale, torch.zeros_like(scale, dtype=torch.int32), 0, -levels, levels)


def quantise_while_training(student: Network, weight_bits: WeightBits, target: Target = "cpu") -> None:
    """Make a student's backbone and head run under `FakeQuant`; its classifier stays float, as it does in the export.

    Of a network from elsewhere that is the classifier that its recipe names.
    """
    entered: list[FakeQuant] = []
    classifier = None if student.classifier is None else student.classifier.weight

    def enter(module: nn.Module, inputs: Any) -> None:
        entered.append(FakeQuant(weight_bits, target, classifier))
        entered[-1].__enter__()

    def leave(module: nn.Module, inputs: Any, outputs: Any) -> None:
        entered.pop().__exit__(None, None, None)

    for part in student.quantised:
        part.register_forward_pre_hook(enter)
        part.register_forward_hook(leave, always_call=True)
