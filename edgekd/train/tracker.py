"""Where a run's numbers go besides `metrics.jsonl`. To add a tracker: write a class and a line in `TRACKERS`."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from edgekd.config import Recipe
from edgekd.console import note
from edgekd_runtime.errors import EdgeKDError, MissingError

EVENTS = "events.out.tfevents."
"""How the names of TensorBoard's files begin; then come a time in seconds, the machine, the process and a number."""


class Tracker(ABC):
    """One run's record in a tracking library; only the first process has one.

    Args:
        folder: The run folder.
        recipe: Of the run.
        step: Where the run starts or goes on.
        identity: What an earlier part of this run was called there; None = a new run.

    Attributes:
        module: What has to be importable.
        extra: The extra of `edgekd` that installs it.
        identity: What finds the record again; kept in the checkpoint. None = the folder alone does.
    """

    module: str
    extra: str
    identity: str | None = None
    _lost = False

    @abstractmethod
    def __init__(self, folder: Path, recipe: Recipe, step: int, identity: str | None) -> None: ...

    def log(self, values: dict[str, float], step: int) -> None:
        """Record numbers of a step. A library that fails, as when its server is gone, ends its record and not the run."""
        if self._lost:
            return
        try:
            self.write(values, step)
        except Exception as error:  # of the library's own kinds
            self._lost = True
            note(f"{self.extra} records nothing from step {step} on ({_reason(error)}); metrics.jsonl has the numbers.")

    @abstractmethod
    def write(self, values: dict[str, float], step: int) -> None:
        """Hand numbers of a step to the library."""

    @abstractmethod
    def close(self, failed: bool) -> None:
        """Write out what is left; the run is over, or has failed."""


class TensorBoard(Tracker):
    """Event files in the run folder: ``tensorboard --logdir runs``."""

    module, extra = "torch.utils.tensorboard", "tensorboard"

    def __init__(self, folder: Path, recipe: Recipe, step: int, identity: str | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        _put_first(sorted(folder.glob(f"{EVENTS}*")), int(time.time()))
        self._writer = SummaryWriter(str(folder), purge_step=step)
        self._begin = time.time() - time.monotonic()  # of a clock that is not set back meanwhile

    def write(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step, walltime=self._begin + time.monotonic())

    def close(self, failed: bool) -> None:
        self._writer.close()


def _put_first(files: list[Path], now: int) -> None:
    """Rename event files that a clock which was set back since has left in the future.

    Their names begin with a time, TensorBoard reads them in the order of their names, and a step that comes back hides what came after it.
    """
    if files and files[-1].name >= f"{EVENTS}{now:010d}":
        for number, file in enumerate(files, now - len(files)):
            file.rename(file.with_name(f"{EVENTS}{number:010d}.{file.name.removeprefix(EVENTS).partition('.')[2]}"))


class WandB(Tracker):
    """Weights & Biases; `WANDB_PROJECT`, `WANDB_MODE` and the login are the library's own."""

    module = extra = "wandb"

    def __init__(self, folder: Path, recipe: Recipe, step: int, identity: str | None) -> None:
        import wandb

        project = os.environ.get("WANDB_PROJECT", "edgekd")
        config = recipe.model_dump(mode="json")
        self._run = wandb.init(project=project, name=folder.name, dir=str(folder), config=config, id=identity, resume="allow")
        self._run.define_metric("*", step_metric="step")  # its own count never goes back, as a resumed run does
        self.identity = str(self._run.id)

    def write(self, values: dict[str, float], step: int) -> None:
        self._run.log({**values, "step": step})

    def close(self, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


class MLflow(Tracker):
    """MLflow; `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` are the library's own."""

    module = extra = "mlflow"
    AT_ONCE = 100
    """Parameters that a server takes in one request."""

    def __init__(self, folder: Path, recipe: Recipe, step: int, identity: str | None) -> None:
        import mlflow

        self._mlflow = mlflow
        if not {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"} & os.environ.keys():
            mlflow.set_experiment("edgekd")
        self.identity = str(mlflow.start_run(run_id=identity, run_name=None if identity else folder.name).info.run_id)
        if identity is None:
            rows = _flat(recipe.model_dump(mode="json"))
            while part := dict(islice(rows, self.AT_ONCE)):
                mlflow.log_params(part)

    def write(self, values: dict[str, float], step: int) -> None:
        self._mlflow.log_metrics(values, step=step)

    def close(self, failed: bool) -> None:
        self._mlflow.end_run("FAILED" if failed else "FINISHED")


def _flat(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``{"train": {"lr": 1}}`` → ``("train.lr", 1)``."""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}


def check_tracker(name: str) -> None:
    """See that a tracker's library is there, before anything is trained.

    Raises:
        MissingError: With the line that installs it.
    """
    kind = TRACKERS[name]
    try:
        import_module(kind.module)
    except ImportError as error:
        raise MissingError(f"train.log is {name}, which is not installed: pip install 'edgekd[{kind.extra}]'.") from error


@contextmanager
def tracking(folder: Path, recipe: Recipe, step: int, identity: str | None) -> Iterator[Tracker]:
    """The tracker that the recipe names, closed in the end; `Tracker` has the arguments.

    Raises:
        EdgeKDError: If the library can't begin, as when it wants a login.
    """
    name = recipe.train.log
    try:
        tracker = TRACKERS[name](folder, recipe, step, identity)
    except Exception as error:  # of the library's own kinds
        raise EdgeKDError(f"--log {name} can't be started ({_reason(error)}); fix that, or leave --log out.") from error
    failed = True
    try:
        yield tracker
        failed = False
    finally:
        try:
            tracker.close(failed)
        except Exception as error:  # likewise
            note(f"{name} did not close its record ({_reason(error)}).")


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
