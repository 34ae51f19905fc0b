"""Checkpoints: weights in safetensors form that say themselves how their model is built."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from edgekd.config import ModelRecipe
from edgekd.loading import validate
from edgekd.models.build import build_network
from edgekd.models.network import Network
from edgekd.runs import Run
from edgekd_runtime.atomic import atomic
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.typed import NAN, Within, typed


@dataclass(frozen=True)
class NetworkFile:
    """What a ``.safetensors`` checkpoint says of itself.

    Attributes:
        model: The recipe that builds it.
        classes: Names and palette.
        in_channels: 3, or 4 for a label-assisted teacher.
        miou: On the validation split when it was saved; NaN before the first validation.
        mean, std: Normalisation of RGB in 0–1 that it was trained with; None in older files = what timm says of the backbone today.
    """

    model: ModelRecipe
    classes: ClassSet
    in_channels: int
    miou: float
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


@dataclass(frozen=True)
class _Metadata:
    """The metadata as JSON; of the model, pydantic sees to the rest."""

    model: dict[str, Any]
    classes: ClassSet
    in_channels: Annotated[int, Within(3, 4)]
    miou: Annotated[float, NAN]
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None


def save_network(path: Path, state: dict[str, Tensor], about: NetworkFile) -> None:
    """Write weights with everything needed to build the model again, atomically."""
    document = {
        "model": about.model.model_dump(mode="json"),
        "classes": asdict(about.classes),
        "in_channels": about.in_channels,
        "miou": about.miou,
        "mean": about.mean,
        "std": about.std,
    }
    with atomic(path) as temporary:
        try:
            # copies, since weights that two modules share are refused
            tensors = {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state.items()}
            save_file(tensors, temporary, {"edgekd": json.dumps(document)})
        except SafetensorError as error:  # its own class for a full disk, too
            raise EdgeKDError(f"Can't write {path} ({error}); free some space or choose another --out.") from error


def load_network(path: Path, num_classes: int | None = None) -> tuple[Network, NetworkFile]:
    """Build the model that a ``.safetensors`` file describes and load it, in eval mode.

    Args:
        path: ``best.safetensors``, or the run folder that holds it.
        num_classes: What the caller's data needs; None = anything.

    Raises:
        EdgeKDError: If the file is missing, damaged, not one of ours, or of another class count.
    """
    if path.is_dir():
        path = Run(path).best
    if not path.is_file():
        raise EdgeKDError(f"No checkpoint at {path}; train one with `edgekd train` or `edgekd distill`.")
    try:
        with safe_open(path, "pt") as file:
            document = json.loads((file.metadata() or {})["edgekd"])
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise EdgeKDError(
            f"{path} is not an edgekd checkpoint in safetensors form (pickles are not loaded); give a run folder or its best.safetensors."
        ) from error
    said = typed(_Metadata, document, str(path), "its metadata is not of this project: train it again, or give another checkpoint")
    recipe = validate(ModelRecipe, said.model, str(path)).model_copy(update={"trust": False})  # a file can't allow itself anything
    about = NetworkFile(recipe, said.classes, said.in_channels, said.miou, said.mean, said.std)
    if num_classes is not None and len(about.classes) != num_classes:
        raise EdgeKDError(f"{path} predicts {len(about.classes)} classes but the data has {num_classes}; use one of this data set.")
    model = build_network(about.model, len(about.classes), about.in_channels, pretrained=False)
    if about.mean and about.std:
        model.mean[:3, 0, 0], model.std[:3, 0, 0] = torch.tensor(about.mean), torch.tensor(about.std)
    model.class_names = about.classes.names
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise EdgeKDError(f"{path} does not fit {about.model.name}: {str(error).splitlines()[-1].strip()}") from error
    return model.eval(), about
