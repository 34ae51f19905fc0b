"""Attention between the positions of two maps, as OCR and ISA use it (non-local networks, Wang et al. 2018)."""

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.models.heads.base import conv_bn_relu


class Attention(nn.Module):
    """softmax(q·kᵀ/√width)·v: every position of one map looks at every position of another.

    Args:
        channels: Of both maps.
        width: Of queries and keys, each two 1×1 blocks.
        value: Projection of the values.
    """

    def __init__(self, channels: int, width: int, value: nn.Module) -> None:
        super().__init__()
        self.query, self.key = (nn.Sequential(conv_bn_relu(channels, width, 1), conv_bn_relu(width, width, 1)) for _ in range(2))
        self.value = value

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """B×channels×h×w and B×channels×h'×w' → values B×·×h×w."""
        # one attention head, spelled out: the ONNX exporter takes four dimensions only
        pairs = ((self.query, x), (self.key, context), (self.value, context))
        query, key, value = (project(of).flatten(2).mT[:, None] for project, of in pairs)
        return F.scaled_dot_product_attention(query, key, value)[:, 0].mT.unflatten(2, x.shape[-2:])
