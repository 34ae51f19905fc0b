"""The section `train`."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from edgekd.config.base import Strict, as_word


class SpeedRecipe(Strict):
    """GPU optimisations of a training step; results change by rounding at most."""

    cudnn_benchmark: bool = True
    """Let cuDNN benchmark its algorithms for each shape. The choice may differ from run to run, and with it the last bits of the results;
    ``false`` for bitwise reproducible runs."""
    tf32: bool | None = None
    """Use TF32 in convolutions and matrix products; None = PyTorch's default, convolutions only."""
    fold_teacher: bool | None = None
    """Fold the frozen teacher's batch norm into its convolutions; None = on a GPU, for this project's networks."""
    bf16_teacher: bool | None = None
    """Keep the frozen teacher's weights in bf16; None = as `fold_teacher` if `precision` is ``bf16``."""
    compile: Literal["none", "teacher", "student", "both"] = "none"
    """Networks to compile with `torch.compile`: ``none``, ``teacher``, ``student`` or ``both``; takes a minute or more at the start."""


class TrainRecipe(Strict):
    """The training loop."""

    steps: int = Field(40_000, ge=1)
    """Optimiser steps."""
    batch_size: int = Field(16, ge=1)
    """Images per optimiser step, over all processes and accumulated parts."""
    accumulate: int = Field(1, ge=1)
    """Gradient accumulation: number of parts that the batch of a step is split into."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """Optimiser: ``sgd`` (with momentum) or ``adamw``."""
    lr: float = Field(0.02, gt=0)
    """Learning rate of the backbone."""
    head_lr: float = Field(1.0, gt=0)
    """Learning rate of heads and projections, as a multiple of `lr`."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD."""
    weight_decay: float = Field(1e-4, ge=0)
    """Weight decay of the optimiser."""
    power: float = Field(0.9, gt=0)
    """Exponent of the polynomial learning-rate schedule."""
    warmup_steps: int = Field(0, ge=0)
    """Steps of linear learning-rate warm-up."""
    clip_norm: float | None = Field(None, gt=0)
    """Largest gradient norm, larger ones are clipped; None = no clipping."""
    precision: Annotated[Literal["32", "bf16", "16"], BeforeValidator(as_word)] = "32"
    """Training precision: ``32``, ``bf16`` or ``16`` (with a loss scaler)."""
    channels_last: bool = True
    """Use the channels-last memory format."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of the exponential moving average of the weights, which is then validated and kept as best; at step t at most (1 + t)/(10 + t).
    None = no average."""
    start: str | None = None
    """Run folder or ``.safetensors`` file with the weights that training starts from."""
    fake_quant: Literal[7, 8] | None = None
    """Quantisation-aware training with 7 or 8 bits per weight and frozen batch norm; None = none."""
    fake_quant_target: Literal["cpu", "tensorrt"] = "cpu"
    """Form of INT8 that quantisation-aware training simulates: ``cpu`` or ``tensorrt``."""
    seed: int = Field(0, ge=0, lt=1 << 32)
    """Random seed for initial weights, data order, augmentation and noise."""
    val_every: int | None = Field(None, ge=1)
    """Steps between validations; None = five validations per run."""
    save_minutes: float = Field(10.0, gt=0)
    """Minutes between saves of the training state; each validation saves it too."""
    log_every: int = Field(10, ge=1)
    """Steps between log lines."""
    log: Literal["tensorboard", "wandb", "mlflow"] = "tensorboard"
    """Tracker that records losses and scores besides `metrics.jsonl`: ``tensorboard`` (files in the run folder), ``wandb`` or
    ``mlflow``."""
    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    """Hardware to train on: ``auto``, ``cpu`` or ``cuda``."""
    devices: int = Field(1, ge=1)
    """Training processes on this machine; under torchrun, torchrun's number."""
    num_nodes: int = Field(1, ge=1)
    """Number of machines."""
    speed: SpeedRecipe = SpeedRecipe()
    """GPU optimisations of a training step."""
