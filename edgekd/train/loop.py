"""The training loop. One reads it top to bottom: set up, step, log, validate, save."""

import math
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from edgekd.config import Recipe
from edgekd.console import Update, duration, note, progress
from edgekd.data.frames import Frames
from edgekd.data.layout import Layout
from edgekd.data.loader import checked, train_loader
from edgekd.distill.objective import Distillation, Objective
from edgekd.distill.processes import sum_over_processes
from edgekd.distill.task import Parts
from edgekd.models import Network, NetworkFile, save_network
from edgekd.runs import Run
from edgekd.train.average import MovingAverage
from edgekd.train.batch_norm import freeze, freeze_batch_norm, synchronise_batch_norm
from edgekd.train.evaluate import evaluate
from edgekd.train.fake_quant import quantise_while_training
from edgekd.train.interrupt import asked_to_end
from edgekd.train.optimizers import build_optimizers
from edgekd.train.schedule import lr_factor
from edgekd.train.speed import quicken, set_libraries
from edgekd.train.tracker import tracking
from edgekd_runtime.artifact import score_key, score_name
from edgekd_runtime.errors import EdgeKDError, StoppedError, UsageError


@dataclass
class State:
    """Where a run stands, besides weights and optimisers."""

    step: int = 0
    best: float = -1.0
    seconds: float = 0.0
    data_seconds: float = 0.0


@contextmanager
def enough_memory(mend: str) -> Iterator[None]:
    """What needs much of a GPU's memory, and what to change where there is too little."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise EdgeKDError(f"The GPU is out of memory; {mend}.") from error


class Trainer:
    """One run of one objective.

    Args:
        fabric: Launched.
        recipe: The run's recipe.
        objective: What is minimised; its student is what is kept.
        folder: Where everything is written.
        layouts: Training and validation split.
        frames: Unlabelled images.
    """

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        objective: Objective,
        folder: Run,
        layouts: tuple[Layout, Layout],
        frames: Frames | None = None,
    ) -> None:
        self.fabric, self.recipe, self.train, self.folder = fabric, recipe, recipe.train, folder
        self.train_layout, self.val_layout = layouts
        self.frames = frames
        self.state = State()
        self.memory_format = torch.channels_last if self.train.channels_last else torch.contiguous_format
        if fabric.world_size > 1:
            synchronise_batch_norm(objective, fabric.device)
        if self.train.fake_quant is not None:
            quantise_while_training(objective.student, self.train.fake_quant, self.train.fake_quant_target)
            freeze_batch_norm(objective.student)
        elif recipe.student.batch_norm == "freeze":
            for part in objective.student.body:
                freeze_batch_norm(part)
        if recipe.student.body == "freeze":
            for part in objective.student.body:
                freeze(part)
        if isinstance(objective, Distillation):
            objective.teacher.to(fabric.device, self.memory_format)
        set_libraries(self.train.speed, fabric.device)
        quicken(objective, self.train, fabric.device)
        self.objective = objective.to(memory_format=self.memory_format)
        self.student: Network = objective.student
        optimizers = build_optimizers(objective, self.train)
        if len(optimizers) > 1 and self.train.precision == "16":
            raise UsageError("The adversarial term has a second optimiser, which fp16's loss scaler can't serve; use precision bf16 or 32.")
        self.module, *self.optimizers = fabric.setup(objective, *optimizers)
        self.average = MovingAverage(self.student, self.train.ema) if self.train.ema else None
        self.tracker: Any = None  # open in the first process while the run trains
        self._tracked_as: str | None = None

    @property
    def kept(self) -> Network:
        """The model that is validated and kept: the averaged one where EMA is on."""
        return self.average.module if self.average is not None else self.student  # type: ignore[return-value]

    def fit(self, resume: bool = False) -> State:
        """Train to the end.

        Args:
            resume: Go on from `last.pt`.

        Raises:
            EdgeKDError: If a loss is not finite; the last checkpoint stays.
            StoppedError: After Ctrl-C, SIGTERM or SIGHUP; the step that it came in is kept.
        """
        torch.manual_seed(self.train.seed * 1000 + self.fabric.global_rank)
        rng = self._restore() if resume else None  # set below: building the loader must not move it
        loader = train_loader(
            self.train_layout,
            self.recipe.data,
            self.train,
            frames=self.frames,
            start=self.state.step,
            rank=self.fabric.global_rank,
            world=self.fabric.world_size,
        )
        batches = iter(self.fabric.setup_dataloaders(loader, use_distributed_sampler=False))
        if rng is not None:
            _set_random_state(rng)
        every = self.train.val_every or max(1, self.train.steps // 5)
        self.objective.train()
        saved = time.monotonic()
        first = self.fabric.is_global_zero
        tracked = tracking(self.folder.path, self.recipe, self.state.step, self._tracked_as) if first else nullcontext()
        with progress(self.recipe.title, quiet=not first) as update, tracked as self.tracker, asked_to_end() as stop:
            while self.state.step < self.train.steps:
                begin = time.perf_counter()
                with enough_memory("lower train.batch_size, or raise train.accumulate"):
                    parts, waited = self._step(batches)
                self.state.step += 1
                self.state.seconds += time.perf_counter() - begin
                self.state.data_seconds += waited
                self._log(parts, time.perf_counter() - begin, update)
                validating = self.state.step % every == 0 or self.state.step == self.train.steps
                if validating:
                    with enough_memory("validation sees whole images of data.size: lower that"):
                        self._validate()
                due = time.monotonic() - saved > 60 * self.train.save_minutes
                stopping, saving = self._any(stop.is_set(), due or validating)
                if saving or stopping:
                    self._save()
                    saved = time.monotonic()
                if stopping:
                    self._stop()
        return self.state

    def _any(self, *wishes: bool) -> list[bool]:
        """Each wish, as soon as one process has it: signals and clocks differ, but all have to save and to stop at the same step."""
        if self.fabric.world_size == 1:
            return list(wishes)
        return [bool(votes) for votes in sum_over_processes(torch.tensor(wishes, dtype=torch.float32, device=self.fabric.device))]

    def _stop(self) -> None:
        verb = "distill" if self.recipe.objective == "distillation" else "train"
        command = shlex.join(["edgekd", verb, "--resume", "--out", str(self.folder.path)])
        raise StoppedError(f"Stopped at step {self.state.step} of {self.train.steps}, which is kept; continue with `{command}`.")

    def _step(self, batches: Iterator[Any]) -> tuple[dict[str, float], float]:
        """One optimiser step; the loss parts, and the seconds spent waiting for data."""
        factor = lr_factor(self.state.step, self.train)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
        losses: list[Tensor] = []
        waited = 0.0
        for micro in range(self.train.accumulate):
            begin = time.perf_counter()
            image, labels, *labelled = checked(next(batches))
            waited += time.perf_counter() - begin
            last = micro == self.train.accumulate - 1
            with self.fabric.no_backward_sync(self.module, enabled=not last) if self.fabric.world_size > 1 else nullcontext():
                image = image.to(memory_format=self.memory_format)
                parts: Parts = self.module(image, labels.long(), self.state.step / self.train.steps, *labelled)
                values = torch.stack(list(parts.values())) / self.train.accumulate
                losses.append(values.detach())
                self.fabric.backward(values.sum())
        for optimizer in self.optimizers:
            if self.train.clip_norm is not None and optimizer is self.optimizers[0]:
                self.fabric.clip_gradients(self.module, optimizer, max_norm=self.train.clip_norm, error_if_nonfinite=False)
            optimizer.step()
            optimizer.zero_grad()
        if self.average is not None:
            self.average.update_parameters(self.student)
        # the mean over processes: all of them log it, and all of them stop at a NaN of one. The only look at the device in a step, when
        # it has all its work: until then it never waits for this process
        means = sum_over_processes(torch.stack(losses).double().sum(0)) / self.fabric.world_size
        totals = dict(zip(parts, means.tolist(), strict=True))
        self._check_finite(totals)
        return totals, waited

    def _check_finite(self, parts: dict[str, float]) -> None:
        wrong = [name for name, value in parts.items() if not math.isfinite(value)]
        if wrong:
            kept = f"{self.folder.last} of an earlier step is kept" if self.folder.last.exists() else "no checkpoint was written yet"
            raise EdgeKDError(
                f"Step {self.state.step + 1}: the loss part {wrong[0]!r} is {parts[wrong[0]]}; {kept}. "
                "Lower train.lr or the part's weight, add train.warmup_steps or train.clip_norm, or use precision 32."
            )

    def _log(self, parts: dict[str, float], seconds: float, update: Update) -> None:
        if not self.fabric.is_global_zero:
            return
        step, rate = self.state.step, self.train.batch_size / seconds
        total = sum(parts.values())
        words = " ".join(f"{name} {value:.3f}" for name, value in parts.items())
        update(step, self.train.steps, f"loss {total:.3f} ({words})  {rate:.1f} img/s")
        if step % self.train.log_every == 0 or step == self.train.steps:
            lr = self.optimizers[0].param_groups[0]["lr"]
            self.folder.log({"step": step, "loss": total, "parts": parts, "lr": lr, "images_per_s": round(rate, 2)})
            self.tracker.log({"loss/total": total, "lr": lr, **{f"loss/{name}": value for name, value in parts.items()}}, step)

    def _validate(self) -> None:
        with progress("validation", quiet=not self.fabric.is_global_zero) as update:
            accuracy = evaluate(
                self.kept,
                self.val_layout,
                self.recipe.data.size,
                rank=self.fabric.global_rank,
                world=self.fabric.world_size,
                update=update,
            )
        better = accuracy.miou > self.state.best or (self.fabric.is_global_zero and not self.folder.best.exists())
        if better:
            self.state.best = 0.0 if math.isnan(accuracy.miou) else accuracy.miou  # a split without labelled pixels scores NaN
        if self.fabric.is_global_zero:
            name = score_name({"labels": self.recipe.data.labels})
            key = score_key(name)
            self.folder.log({"step": self.state.step, "val": accuracy.to_json(key) | {"labels": self.recipe.data.labels}})
            self.tracker.log({f"val/{key}": accuracy.miou}, self.state.step)
            note(
                f"{self.recipe.title}: step {self.state.step}/{self.train.steps}  val {name} {100 * accuracy.miou:.2f} "
                f"(best {100 * self.state.best:.2f})  {duration(self.state.seconds)} trained, data {100 * self.data_share:.1f} %"
            )
            if better:
                about = NetworkFile(
                    self.student.recipe, self.val_layout.classes, self.student.in_channels, accuracy.miou, *self.student.normalisation
                )
                save_network(self.folder.best, self.kept.state_dict(), about)

    @property
    def data_share(self) -> float:
        """Share of the training time spent waiting for data."""
        return self.state.data_seconds / max(self.state.seconds, 1e-9)

    def _save(self) -> None:
        everyones = self.fabric.all_gather(_random_state()).reshape(self.fabric.world_size, -1)
        if not self.fabric.is_global_zero:
            return
        precision = self.fabric.strategy.precision
        self.folder.save_state(
            {
                "step": self.state.step,
                "best": self.state.best,
                "seconds": self.state.seconds,
                "data_seconds": self.state.data_seconds,
                "objective": self.objective.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "scaler": precision.state_dict() if hasattr(precision, "state_dict") else {},
                "average": self.average.state_dict() if self.average is not None else None,
                "rng": everyones.cpu(),
                "tracker": self.tracker.identity,
            }
        )

    def _restore(self) -> Tensor:
        """Load `last.pt`; returns this process's random state."""
        saved = self.folder.load_state()
        try:
            if len(saved["rng"]) != self.fabric.world_size:
                raise UsageError(f"{self.folder.last} was written by {len(saved['rng'])} processes; resume with as many.")
            self.objective.load_state_dict(saved["objective"])
            for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
                optimizer.load_state_dict(state)
            if saved["scaler"]:
                self.fabric.strategy.precision.load_state_dict(saved["scaler"])
            if self.average is not None:
                self.average.load_state_dict(saved["average"])
            self.state = State(saved["step"], saved["best"], saved["seconds"], saved["data_seconds"])
            self._tracked_as = saved.get("tracker")
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise EdgeKDError(f"{self.folder.last} is not of this recipe's model: {str(error).splitlines()[-1].strip()}") from error
        if self.fabric.is_global_zero:
            self.folder.rewind(self.state.step)
            note(f"Resuming {self.folder.path} at step {self.state.step}")
        return saved["rng"][self.fabric.global_rank]


def _random_state() -> Tensor:
    """Of the CPU, and of this process's GPU where there is one, as bytes."""
    states = [torch.get_rng_state()] + ([torch.cuda.get_rng_state()] if torch.cuda.is_available() else [])
    return torch.cat(states)


def _set_random_state(state: Tensor) -> None:
    length = len(torch.get_rng_state())
    torch.set_rng_state(state[:length].clone())
    if torch.cuda.is_available() and len(state) > length:
        torch.cuda.set_rng_state(state[length:].clone())
