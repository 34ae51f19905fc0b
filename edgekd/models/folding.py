"""Batch norm of a frozen network as part of the convolutions before it: the same function, a pass over each map less."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

TOLERANCE = 1e-3
"""Largest difference of the outputs, over their largest value, that rounding accounts for."""


def fold_batch_norm(model: nn.Module, image: Tensor) -> int:
    """Fold what directly follows a convolution, and check on an image that the network gives what it gave; in place.

    Args:
        model: In eval mode.
        image: What it takes.

    Returns:
        How many were folded; 0 also where the outputs would differ, and nothing was changed.
    """
    pairs, before = _followers(model, image)
    originals = {name: model.get_submodule(name) for pair in pairs for name in pair}
    for convolution, norm in pairs:
        fused = fuse_conv_bn_eval(originals[convolution], originals[norm])  # type: ignore[type-var, arg-type]
        model.set_submodule(convolution, fused)
        model.set_submodule(norm, _rest(originals[norm]))
    with torch.no_grad():
        after = model(image)
    if all(_close(one, other) for one, other in zip(before, _tensors(after), strict=True)):
        return len(pairs)
    for name, module in originals.items():
        model.set_submodule(name, module)
    return 0


@torch.no_grad()
def _followers(model: nn.Module, image: Tensor) -> tuple[list[tuple[str, str]], list[Tensor]]:
    """(convolution, batch norm) by name where the one reads what the other gave, each called once; and the network's output."""
    made: dict[int, str] = {}
    kept: list[Tensor] = []  # alive, or another tensor could have the same id
    calls: dict[str, int] = {}
    pairs: list[tuple[str, str]] = []
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):

            def gave(module: nn.Module, given: object, output: Tensor, name: str = name) -> None:
                made[id(output)] = name
                kept.append(output)
                calls[name] = calls.get(name, 0) + 1

            hooks.append(module.register_forward_hook(gave))
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:

            def reads(module: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
                calls[name] = calls.get(name, 0) + 1
                if id(given[0]) in made:
                    pairs.append((made[id(given[0])], name))

            hooks.append(module.register_forward_pre_hook(reads))
    output = model(image)
    for hook in hooks:
        hook.remove()
    return [pair for pair in pairs if all(calls[name] == 1 for name in pair)], _tensors(output)


def _tensors(output: Iterable[Any]) -> list[Tensor]:
    """Of what a network gives; the rest of a `SegOutput` is None or empty."""
    return [value for value in output if isinstance(value, Tensor)]


def _rest(norm: nn.Module) -> nn.Module:
    """What a batch norm does besides: timm's have an activation."""
    rest = [getattr(norm, name) for name in ("drop", "act") if isinstance(getattr(norm, name, None), nn.Module)]
    return nn.Sequential(*rest) if rest else nn.Identity()


def _close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) <= TOLERANCE * float(one.abs().max())
