"""A process of two that run every transfer on its half of each batch, or one that runs them on all of it."""

import sys
from pathlib import Path

import torch
from torch import distributed as dist

from edgekd.config import TransferRecipe
from edgekd.distill.registry import TRANSFERS, build_transfer
from edgekd.distill.transfer import Widths
from edgekd.train.batch_norm import synchronise_batch_norm

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import peers


def run(rank: int, world: int, folder: str) -> None:
    """Write ``RANK-of-WORLD.pt``: of each transfer the losses and gradients as data-parallel training has them, and the last state."""
    torch.set_num_threads(1)
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    size, results = peers.TINY, {}
    for method in TRANSFERS:
        torch.manual_seed(0)
        recipe = TransferRecipe(method=method, **peers.SMALL.get(method, {}))
        module = build_transfer(recipe, Widths(size.classes, size.student, size.teacher))[1].double().train()
        if world > 1:
            synchronise_batch_norm(module, torch.device("cpu"))
        local = size.images // world
        record = {}
        for index, step in enumerate(peers.steps(size, 0.3)):
            part = slice(rank * local, (rank + 1) * local)
            tensors = [value[part].detach() if isinstance(value, torch.Tensor) else value for value in step]
            own = peers.Step(*tensors)._replace(
                fs=step.fs[part].detach().requires_grad_(), aux_s=step.aux_s[part].detach().requires_grad_()
            )
            loss = module(own.pair())
            leaves = [own.fs, own.aux_s, own.classifier.weight, *module.parameters()]
            gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
            record |= {f"{index}.loss": loss.detach(), f"{index}.images": torch.stack([g.abs().sum() for g in gradients[:2]])}
            record |= {f"{index}.{position}": gradient for position, gradient in enumerate(gradients[2:])}
        if world > 1:
            for value in record.values():  # DDP's mean
                dist.all_reduce(value)
                value /= world
        record |= {f"state.{key}": value.clone() for key, value in module.state_dict().items()}
        results[method] = record
    torch.save(results, f"{folder}/{rank}-of-{world}.pt")
    if world > 1:
        dist.destroy_process_group()
