"""Batch norm over all processes.

On CUDA this is PyTorch's SyncBatchNorm. That has no CPU form, so on the CPU (where it makes two processes equal to one, and
testable) a small one stands in.
"""

import torch
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from edgekd.distill.float32 import widened
from edgekd.distill.processes import world_size


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with statistics over all processes, on any device."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        dtype, x = x.dtype, widened(x)
        count = x.numel() // x.shape[1] * world_size()
        mean = all_reduce(x.sum((0, 2, 3))) / count
        centred = x - mean[:, None, None]
        variance = all_reduce(centred.square().sum((0, 2, 3))) / count
        self._track(mean.detach(), variance.detach() * count / (count - 1))
        normal = centred * torch.rsqrt(variance + self.eps)[:, None, None]
        if self.affine:
            normal = normal * self.weight[:, None, None] + self.bias[:, None, None]
        return normal.to(dtype)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            factor = 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, factor)
            self.running_var.lerp_(variance, factor)


class GlobalBatchNormAct2d(GlobalBatchNorm2d):
    """timm's batch norm + activation, over all processes."""

    act: nn.Module
    drop: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.drop(super().forward(x)))


_CPU_FORM = {nn.BatchNorm2d: GlobalBatchNorm2d, BatchNormAct2d: GlobalBatchNormAct2d}


def synchronise_batch_norm(module: nn.Module, device: torch.device) -> nn.Module:
    """Replace batch norms by ones over all processes; parameters, buffers and names stay."""
    if device.type != "cpu":
        return convert_sync_batchnorm(module)
    for child in module.modules():
        if type(child) in _CPU_FORM:
            child.__class__ = _CPU_FORM[type(child)]  # same parameters and attributes, another forward
    return module


def freeze_batch_norm(module: nn.Module) -> None:
    """Put batch norms in eval mode for good and fix their parameters."""
    for norm in module.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            freeze(norm)


def freeze(module: nn.Module) -> None:
    """Put a module and all in it in eval mode for good and fix its parameters."""
    module.requires_grad_(False).eval()
    module.train = lambda mode=True: module  # type: ignore[method-assign]
