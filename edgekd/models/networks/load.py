"""A published checkpoint into a whole network: by the names of its tensors, or by their order."""

from pathlib import Path

import torch
from torch import Tensor, nn

from edgekd.console import note
from edgekd.models.weights import read_weights
from edgekd_runtime.errors import EdgeKDError

WRAPPERS = ("module.", "model.")
"""Prefixes that trainers leave on every name."""


@torch.no_grad()
def load_published(network: nn.Module, keys: dict[str, str], path: Path) -> None:
    """Fill a network from a file of the whole network, with or without its heads for training, or of its trunk alone.

    Names count first; where they say nothing, all tensors have to fit in their order. A classifier of another number of classes stays as it
    is, and so do input channels that the file does not have.

    Args:
        network: With `trunk`.
        keys: Published prefix → ours; everything else belongs to the trunk.
        path: safetensors, or a PyTorch file without pickled code.

    Raises:
        EdgeKDError: If neither names nor order fit.
    """
    given = {_bare(key): value for key, value in read_weights(path).items()}
    own = network.state_dict()
    renamed = {_renamed(key, keys): value for key, value in given.items()}
    loaded = {key: _widened(value, own[key]) for key, value in renamed.items() if key in own and _fits(value, own[key])}
    trunk = [key for key, value in own.items() if key.startswith("trunk.") and value.ndim]
    if sum(key in loaded for key in trunk) < len(trunk) / 2:
        loaded = _by_order(own, given, path)
    own.update(loaded)
    network.load_state_dict(own)
    missing = sorted({".".join(key.split(".")[:2]) for key, value in own.items() if value.ndim and key not in loaded})
    if missing:
        note(f"{path.name} has nothing that fits {', '.join(missing)}; they start at random")


def _bare(key: str) -> str:
    for prefix in WRAPPERS * 2:
        key = key.removeprefix(prefix)
    return key


def _renamed(key: str, keys: dict[str, str]) -> str:
    prefix = next((prefix for prefix in keys if key.startswith(prefix)), None)
    return f"trunk.{key}" if prefix is None else keys[prefix] + key.removeprefix(prefix)


def _fits(value: Tensor, own: Tensor) -> bool:
    """The same shape, or a first convolution that reads fewer channels."""
    return value.shape == own.shape or (
        value.ndim == own.ndim == 4
        and value.shape[1] == 3 < own.shape[1] == 4
        and value.shape[0] == own.shape[0]
        and value.shape[2:] == own.shape[2:]
    )


def _widened(value: Tensor, own: Tensor) -> Tensor:
    if value.shape == own.shape:
        return value
    return torch.cat([value, 0.1 * torch.randn_like(own[:, value.shape[1] :])], 1)


def _by_order(own: dict[str, Tensor], given: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of the file in their order onto the whole network's, the deployed network's, or the trunk's."""
    values = [value for value in given.values() if value.ndim]
    wanted = [key for key, value in own.items() if value.ndim]
    for part in (
        wanted,
        [key for key in wanted if not key.startswith("training_only.")],
        [key for key in wanted if key.startswith("trunk.")],
    ):
        pairs = list(zip(part, values, strict=False))
        if len(part) <= len(values) and all(_fits(value, own[key]) or key.startswith(("classifier.", "final.")) for key, value in pairs):
            return {key: _widened(value, own[key]) for key, value in pairs if _fits(value, own[key])}
    raise EdgeKDError(f"{path} does not fit: neither the names of its {len(values)} tensors nor their order are this network's.")
