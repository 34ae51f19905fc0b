"""Networks in a file that holds their code: TorchScript and torch.export. Opening one can run what is in it, so it has to be allowed."""

from pathlib import Path

import torch

from edgekd.config import ModelRecipe
from edgekd.models.fixed import FixedInput
from edgekd.models.foreign import ForeignNetwork
from edgekd.runs import Run
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.trust import require_trust


def _allowed(recipe: ModelRecipe, in_channels: int) -> Path:
    path = Path(recipe.name)
    if not path.is_file():
        raise EdgeKDError(f"No network at {path}.")
    run = Run(path.parent)
    if path == run.last and run.recipe_file.is_file():
        raise UsageError(f"{path} is the training state of a run, for --resume; name the run, {run.path}.")
    if not recipe.trust:
        raise UsageError(f"{path} holds code that runs when it is opened; if you trust where it comes from, add --trust.")
    require_trust(recipe.name, record=False)  # a run's recipe can't allow itself anything
    if recipe.features or recipe.classifier:
        raise UsageError(f"{path} is compiled, so its modules can't be looked into; leave features and classifier out.")
    if in_channels != 3:
        raise UsageError(f"{path} can't take the label as input; use another network for a label-assisted teacher.")
    return path


def build_script(recipe: ModelRecipe, num_classes: int | None, in_channels: int, pretrained: bool) -> ForeignNetwork:
    """A TorchScript file.

    Raises:
        UsageError: If it is not allowed.
        EdgeKDError: If it is missing, or none.
    """
    path = _allowed(recipe, in_channels)
    try:
        module = torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        told = str(error).strip().splitlines()[0]
        raise EdgeKDError(f"{path} is no TorchScript file ({told}); give weights alone to their own network, as its weights.") from error
    return ForeignNetwork(recipe, module, num_classes)


def build_exported(recipe: ModelRecipe, num_classes: int | None, in_channels: int, pretrained: bool) -> ForeignNetwork:
    """A torch.export file.

    Raises:
        UsageError: If it is not allowed.
        EdgeKDError: If it is missing, or none.
    """
    path = _allowed(recipe, in_channels)
    try:
        program = torch.export.load(path)
    except Exception as error:  # zip, pickle, JSON and schema errors alike
        raise EdgeKDError(f"{path} is no torch.export file ({str(error).strip().splitlines()[0]}).") from error
    names = set(program.graph_signature.user_inputs)
    shape = next(node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder" and node.name in names)
    batch, _, height, width = (length if isinstance(length, int) else None for length in shape)  # None: it was exported for any
    graph = program.module()
    graph.train = lambda mode=True: graph  # type: ignore[method-assign]  # its mode was fixed when it was exported, and its own train() raises
    return ForeignNetwork(recipe, FixedInput(graph, batch, (height, width) if height and width else None), num_classes)
