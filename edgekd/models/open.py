"""One function that opens every network: a run, a checkpoint, a name, a file, or a module from Python."""

from pathlib import Path
from typing import Any

from torch import nn

from edgekd.config import ModelRecipe
from edgekd.loading import validate
from edgekd.models.build import build_network
from edgekd.models.checkpoint import load_network
from edgekd.models.foreign import ForeignNetwork
from edgekd.models.network import Network
from edgekd.models.sources import folder_source, source_of
from edgekd.runs import Run
from edgekd_runtime.errors import UsageError
from edgekd_runtime.trust import name_by_user


def open_network(source: str | Path | nn.Module, num_classes: int | None = None, **options: Any) -> Network:
    """Open a network from anywhere.

    Args:
        source: A run folder or ``.safetensors`` checkpoint of this project; ``head-backbone``; ``package.module:function``;
            ``hf:FOLDER_OR_ID`` or a folder in that form; a file ``.onnx``, ``.pt2`` or ``.pt``; or a module.
        num_classes: C; None = as many as it has, which a ``head-backbone`` can't say.
        options: Fields of `edgekd.config.ModelRecipe`, such as ``features="backbone.layer4"``; not of a run.

    Raises:
        UsageError: If there is no such network, or it has another number of classes.
        MissingError: If a package is missing.
        EdgeKDError: If it can't be read.
    """
    if isinstance(source, Network):
        _refuse(options, source.name)
        if num_classes not in (None, source.num_classes):
            raise UsageError(f"{source.name} predicts {source.num_classes} classes, not {num_classes}.")
        return source
    if isinstance(source, nn.Module):
        name = f"{type(source).__module__}:{type(source).__qualname__}"
        return ForeignNetwork(validate(ModelRecipe, {"name": name, **options}, name), source, num_classes)
    name_by_user([str(source), options])  # what Python passes is the user's word
    name = folder_source(str(source))
    if source_of(name) is None and (name.endswith(".safetensors") or Run(name).recipe_file.is_file()):
        _refuse(options, name)
        return load_network(Path(name), num_classes)[0]
    return build_network(validate(ModelRecipe, {"name": name, **options}, name), num_classes)


def _refuse(options: dict[str, Any], name: str) -> None:
    if options:
        raise UsageError(f"{name} is built already, so {', '.join(options)} would do nothing; leave it out.")
