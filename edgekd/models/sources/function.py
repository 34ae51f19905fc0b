"""Networks from a function or class that can be imported: torchvision, segmentation_models_pytorch, one's own repository."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from edgekd.config import ModelRecipe
from edgekd.models.foreign import ForeignNetwork
from edgekd.models.weights import read_weights
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.plugins import load_reference

CLASSES = ("num_classes", "classes", "n_classes", "nclass", "num_labels")
"""What libraries call the number of classes."""
PRETRAINED: dict[str, Any] = {"weights": None, "weights_backbone": None, "encoder_weights": None, "pretrained": False}
"""What libraries call pretrained weights, and the value that fetches none."""
IMPLIED: dict[str, Any] = {"aux_loss": True}
"""Options that torchvision's `weights` bring along, so that the same network is built when none are fetched."""


def build(recipe: ModelRecipe, num_classes: int | None, in_channels: int, pretrained: bool) -> ForeignNetwork:
    """Call what the recipe names with its options and the number of classes.

    Raises:
        UsageError: If the options do not fit, or it returns no module.
        EdgeKDError: If weights can't be fetched, or do not fit.
    """
    made = load_reference(recipe.name)
    if not callable(made):
        raise UsageError(f"{recipe.name} is no function or class that builds a network.")
    options = dict(recipe.options)
    names = _parameters(made)
    key = next((name for name in CLASSES if name in names), None)
    if num_classes is not None and key is not None:
        options.setdefault(key, num_classes)
    if not pretrained or recipe.weights is not None:  # others are loaded
        if options.get("weights") is not None:
            options = {**{name: value for name, value in IMPLIED.items() if name in names}, **options}
        options |= {name: value for name, value in PRETRAINED.items() if name in names or name in recipe.options}
    module = _call(made, recipe.name, options)
    if not isinstance(module, nn.Module):
        raise UsageError(f"{recipe.name} returned {type(module).__name__}, not a torch.nn.Module.")
    if recipe.weights is not None and pretrained:
        load_weights(module, Path(recipe.weights), recipe.name)
    return ForeignNetwork(recipe, module, num_classes, in_channels)


def load_weights(module: nn.Module, path: Path, name: str) -> None:
    """Load a state dict into a module: by key, or by order if every shape fits.

    Raises:
        EdgeKDError: If it does not fit; names the first tensor that differs.
    """
    given, expected = read_weights(path), module.state_dict()
    if set(given) != set(expected):
        if [tuple(value.shape) for value in given.values()] != [tuple(value.shape) for value in expected.values()]:
            strange = next(iter(set(expected) ^ set(given)))
            raise EdgeKDError(f"{path} does not fit {name}: {strange} is in one of them only.")
        given = dict(zip(expected, given.values(), strict=True))
    try:
        module.load_state_dict(given)
    except RuntimeError as error:
        raise EdgeKDError(f"{path} does not fit {name}: {str(error).splitlines()[-1].strip()}") from error


def _parameters(made: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(made).parameters)
    except (TypeError, ValueError):
        return set()


def _call(made: Callable[..., Any], name: str, options: dict[str, Any]) -> Any:
    try:
        return made(**options)
    except TypeError as error:
        raise UsageError(f"{name} does not take the options {options}: {error}.") from error
    except OSError as error:
        raise EdgeKDError(f"{name} could not fetch weights ({error}); set its option for them to null, or download them first.") from error
    except Exception as error:  # whatever somebody else's code raises
        raise UsageError(f"{name} failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}.") from error
