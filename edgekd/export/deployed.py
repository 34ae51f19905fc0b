"""The network as it ships: uint8 H×W×3 in, normalisation and argmax inside."""

from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.distill.resize import upsample
from edgekd.models import Network

Output = Literal["classes", "logits"]


class Deployed(nn.Module):
    """A network between its image and its class map. Training-only parts are left behind.

    Args:
        model: The network.
        size: Network input (H, W).
        output: ``classes`` for a uint8 map 1×H×W, ``logits`` for float32 1×C×H×W.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, model: Network, size: tuple[int, int], output: Output) -> None:
        super().__init__()
        self.network = model.deployable()
        self.size, self.output = size, output
        std = model.std[:3, 0, 0]
        # as wide as the image: runtimes broadcast along a last axis of 3 pixel by pixel, at up to a tenth of the network's time
        self.register_buffer("scale", _row(1 / (255 * std), size[1]))
        self.register_buffer("shift", _row(-model.mean[:3, 0, 0] / std, size[1]))

    def forward(self, image: Tensor) -> Tensor:
        """uint8 1×H×W×3 → class map or logits."""
        # the cast comes first: TensorRT transposes no uint8
        x = (image.to(torch.float32) * self.scale + self.shift).permute(0, 3, 1, 2)
        scores = self.network(x)
        # the classes as a batch: a runtime that computes channels-last would resize and search class by class otherwise (OpenVINO: 20 %)
        planes = scores.reshape(-1, 1, *scores.shape[2:])
        logits = upsample(planes, self.size).reshape(-1, scores.shape[1], *self.size)
        return logits.argmax(1).to(torch.uint8) if self.output == "classes" else logits


def _row(channels: Tensor, width: int) -> Tensor:
    """Values of the 3 channels → 1×1×W×3."""
    return channels.repeat(width).reshape(1, 1, width, 3)
