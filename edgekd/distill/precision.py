"""Losses compute in float32, whatever autocast is doing around them."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def float32(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` with autocast off and its half-precision tensors (also those in lists) as float32; float64 stays."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        widened = [_widen(value) for value in args]
        device = next((value.device.type for value in widened if isinstance(value, Tensor)), "cpu")
        with torch.autocast(device, enabled=False):
            return function(*widened, **{key: _widen(value) for key, value in kwargs.items()})  # type: ignore[arg-type]

    return wrapper


def _widen(value: object) -> object:
    if isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16):
        return value.float()
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return [_widen(item) for item in value]
    return value
