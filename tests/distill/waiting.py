"""What in a step would make a GPU and its host wait for each other, counted on the CPU, where nothing does."""

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

LOOKS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "bincount",
    "equal",
    "is_nonzero",
}
"""Operators whose result's value or size the host has to know."""
INDEXED = {"index", "index_put", "index_put_", "_index_put_impl_"}
READS = ("tolist", "cpu", "numpy", "item", "__bool__", "__int__", "__float__", "__index__", "__array__")
VIEWS = {
    "view",
    "_unsafe_view",
    "expand",
    "permute",
    "transpose",
    "t",
    "slice",
    "select",
    "unsqueeze",
    "squeeze",
    "detach",
    "alias",
    "split",
    "diagonal",
}


class Waiting(TorchDispatchMode):
    """Counts them in `found`, and in `launched` the operators that would start a kernel.

    What lies on the device: the tensors that it is given, and all that is computed from one. Whatever was drawn or counted apart from them
    is the host's, which may look at it; bringing it over is a wait, unless it says ``non_blocking``.

    Args:
        tensors: Parameters, buffers and inputs.
    """

    def __init__(self, tensors):
        super().__init__()
        self.found, self.launched = [], 0
        for tensor in tensors:
            tensor._on_device = True
        self._calls = _Calls(self)

    def __enter__(self):
        self._calls.__enter__()
        return super().__enter__()

    def __exit__(self, *raised):
        super().__exit__(*raised)
        self._calls.__exit__(*raised)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        given = [leaf for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor)]
        there = any(on_device(tensor) for tensor in given)
        if there and name not in VIEWS:
            self.launched += 1
        masks = name in INDEXED and any(tensor is not None and tensor.dtype in (torch.bool, torch.uint8) for tensor in args[1])
        sizes = name == "repeat_interleave" and func._overloadname == "Tensor"
        if there and (name in LOOKS or masks or sizes):
            self.found.append(f"{name}{' by a mask' if masks else ''}")
        result = func(*args, **(kwargs or {}))
        if there:
            for leaf in tree_leaves(result):
                if isinstance(leaf, Tensor):
                    leaf._on_device = True
        return result


class _Calls(TorchFunctionMode):
    """What the dispatcher does not see on a CPU: reading a tensor's memory, and copies that would cross over."""

    def __init__(self, waiting):
        super().__init__()
        self._waiting = waiting

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            self._waiting.found.append(f"torch.{name} on a device")
        own = args[0] if args and isinstance(args[0], Tensor) else None
        if own is not None and name in READS and on_device(own):
            self._waiting.found.append(name)
        result = func(*args, **kwargs)
        if (
            own is not None
            and name in ("to", "cuda")
            and not on_device(own)
            and any(_is_place(value) for value in (*args[1:], *kwargs.values()))
        ):
            if not kwargs.get("non_blocking") and own.numel() > 1:
                self._waiting.found.append("a copy of the host's")
            result = own.view_as(own) if result is own else result  # a copy, were it another device
            result._on_device = True
        if own is None and kwargs.get("device") is not None and isinstance(result, Tensor):
            result._on_device = True  # made there
        return result


def on_device(tensor):
    return getattr(tensor, "_on_device", False)


def _is_place(value):
    return isinstance(value, torch.device) or (isinstance(value, Tensor) and on_device(value))
