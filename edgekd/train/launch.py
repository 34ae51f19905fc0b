"""Where a run runs: device, processes, precision."""

import os

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from edgekd.config import TrainRecipe
from edgekd_runtime.errors import MissingError, UsageError

PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}


def launch(train: TrainRecipe) -> Fabric:
    """Start Fabric and its processes; torchrun's environment wins over the recipe.

    Raises:
        MissingError: If CUDA is asked for and there is none.
        UsageError: If the batch can't be dealt out evenly, or the device has no such precision.
    """
    if train.accelerator == "cuda" and not torch.cuda.is_available():
        raise MissingError("train.accelerator is cuda, but PyTorch sees no GPU here; install a CUDA build and driver, or use cpu.")
    local = int(os.environ.get("LOCAL_WORLD_SIZE", 0))
    devices = local or train.devices
    nodes = int(os.environ.get("WORLD_SIZE", devices)) // local if local else train.num_nodes
    world = devices * nodes
    if train.batch_size % (world * train.accumulate):
        raise UsageError(
            f"train.batch_size {train.batch_size} can't be split over {world} processes × {train.accumulate} parts; use a multiple."
        )
    if train.accelerator != "cpu" and torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise MissingError(f"train.devices is {devices}, but there are {torch.cuda.device_count()} GPUs here.")
    # some backbones have stages that no head reads; buffers are equal in all processes by construction
    strategy = DDPStrategy(find_unused_parameters=True, broadcast_buffers=False) if world > 1 else "auto"
    fabric = Fabric(
        accelerator=train.accelerator, devices=devices, num_nodes=nodes, strategy=strategy, precision=PRECISION[train.precision]
    )
    if train.precision == "16" and fabric.device.type == "cpu":
        # Fabric would go on in bf16 with a warning
        raise UsageError("train.precision 16 needs a GPU; on a CPU use bf16 or 32.")
    fabric.launch()
    return fabric
