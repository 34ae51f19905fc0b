"""Losses compute in float32 or better, whatever autocast is doing around them."""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def float32(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` with autocast off, its floating tensors (also in lists) in one dtype, its integer tensors as int64.

    The dtype is float32, or float64 where any of them is.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        tensors = list(_tensors([*args, *kwargs.values()]))
        dtype = torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32
        device = tensors[0].device.type if tensors else "cpu"
        with torch.autocast(device, enabled=False):
            widened = {key: _widen(value, dtype) for key, value in kwargs.items()}
            return function(*(_widen(value, dtype) for value in args), **widened)  # type: ignore[arg-type]

    return wrapper


def widened(value: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return value.float() if value.element_size() < 4 else value


def _tensors(values: Iterable[object]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _widen(value: object, dtype: torch.dtype) -> object:
    if isinstance(value, Tensor):
        if value.is_floating_point():
            return value.to(dtype)
        return value if value.dtype == torch.bool else value.long()
    if isinstance(value, (list, tuple)):
        return [_widen(item, dtype) for item in value] if any(True for _ in _tensors(value)) else value
    return value
