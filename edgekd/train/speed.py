"""What makes a step quicker on a GPU: `SpeedRecipe`, applied. On a CPU nothing changes unless it is asked for."""

import torch

from edgekd.config import SpeedRecipe, TrainRecipe
from edgekd.distill.objective import Distillation, Objective
from edgekd.distill.teacher import Teacher
from edgekd.models import Segmenter
from edgekd.models.folding import fold_batch_norm

PROBE = 128
"""Pixels on a side of the image that a folded teacher is checked on."""


def set_libraries(speed: SpeedRecipe, device: torch.device) -> None:
    """PyTorch's switches for cuDNN and TF32."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = speed.cudnn_benchmark
    if speed.tf32 is not None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = speed.tf32


def quicken(objective: Objective, train: TrainRecipe, device: torch.device) -> None:
    """Bring an objective whose teacher is on its device into the form that the recipe asks for.

    Args:
        objective: Its student may be compiled, its teacher folded, in bf16 and compiled.
        train: Its `speed`, and the precision that the teacher's follows.
        device: Where it runs.
    """
    if isinstance(objective, Distillation):
        _quicken_teacher(objective.teacher, train, device)
    if train.speed.compile in ("student", "both"):
        objective.student.compile()


def _quicken_teacher(teacher: Teacher, train: TrainRecipe, device: torch.device) -> None:
    speed, ours = train.speed, device.type == "cuda" and isinstance(teacher.model, Segmenter)
    if ours if speed.fold_teacher is None else speed.fold_teacher:
        parameter = next(teacher.model.parameters())
        fold_batch_norm(teacher.model, torch.rand(2, teacher.model.in_channels, PROBE, PROBE, device=parameter.device))
    if ours and train.precision == "bf16" if speed.bf16_teacher is None else speed.bf16_teacher:
        teacher.to_bf16()
    if speed.compile in ("teacher", "both"):
        teacher.model.compile()
