"""What updates which parameters."""

import torch
from torch import nn

from edgekd.config import TrainRecipe
from edgekd.distill.objective import Objective


def build_optimizers(objective: Objective, train: TrainRecipe) -> list[torch.optim.Optimizer]:
    """The student's optimiser, and Adam for an adversary where there is one."""
    rivals = objective.second_players()
    rival_ids = {id(parameter) for parameter in rivals}
    backbone = {id(parameter) for part in objective.student.body for parameter in part.parameters()}
    groups: dict[float, list[nn.Parameter]] = {1.0: [], train.head_lr: []}
    for parameter in objective.parameters():
        if parameter.requires_grad and id(parameter) not in rival_ids:
            groups[1.0 if id(parameter) in backbone else train.head_lr].append(parameter)
    settings = [
        {"params": parameters, "lr": train.lr * factor, "initial_lr": train.lr * factor}
        for factor, parameters in groups.items()
        if parameters
    ]
    if train.optimizer == "sgd":
        main: torch.optim.Optimizer = torch.optim.SGD(settings, momentum=train.momentum, weight_decay=train.weight_decay)
    else:
        main = torch.optim.AdamW(settings, weight_decay=train.weight_decay)
    if not rivals:
        return [main]
    return [main, torch.optim.Adam([{"params": rivals, "lr": 4e-4, "initial_lr": 4e-4}], betas=(0.9, 0.99))]
