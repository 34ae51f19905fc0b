"""Reading weights safely: safetensors, or PyTorch files without pickled code."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from edgekd_runtime.errors import EdgeKDError


def read_weights(path: Path) -> dict[str, Tensor]:
    """A flat dictionary of tensors from ``.safetensors`` or a PyTorch file.

    Raises:
        EdgeKDError: If the file is missing, damaged, holds pickled objects, or is no dictionary of tensors.
    """
    if not path.is_file():
        raise EdgeKDError(f"No weights at {path}.")
    try:
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise EdgeKDError(f"{path} is not a safetensors file ({error}).") from error
    except pickle.UnpicklingError as error:
        raise EdgeKDError(f"{path} holds pickled objects, which can run code, or no tensors at all; convert it to safetensors.") from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise EdgeKDError(f"{path} can't be read as weights ({str(error).splitlines()[0]}); copy it again.") from error
    for key in ("state_dict", "model", "model_state"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise EdgeKDError(f"{path} holds no dictionary of tensors; give a state dict.")
    return content
