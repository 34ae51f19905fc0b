"""A run: the folder with `recipe.yaml`, `metrics.jsonl`, `last.pt`, `best.safetensors`, `README.md`, TensorBoard events and `export/`."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from edgekd.config import Recipe
from edgekd.console import note
from edgekd.loading import RECIPE_FILE, dump_recipe, load_recipe
from edgekd_runtime.artifact import MODEL_FILES
from edgekd_runtime.atomic import atomic
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.files import write_text


class Run:
    """What one run leaves behind, and the only place that knows its files' names.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe."""
        return self.path / RECIPE_FILE

    @property
    def recipe(self) -> Recipe:
        """What the run was made by."""
        return load_recipe(self.path)

    @property
    def card(self) -> Path:
        """What a reader should know of it."""
        return self.path / "README.md"

    @property
    def export(self) -> Path:
        """Folder of the exported models, one folder a precision."""
        return self.path / "export"

    @property
    def fp32(self) -> Path:
        """The FP32 export, which every lower precision starts from."""
        return self.export / "fp32" / MODEL_FILES[0]

    @property
    def last(self) -> Path:
        """Full training state."""
        return self.path / "last.pt"

    @property
    def best(self) -> Path:
        """Weights of the best validation."""
        return self.path / "best.safetensors"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: training and validation."""
        return self.path / "metrics.jsonl"

    @property
    def calibration(self) -> Path:
        """INT8 ranges that `edgekd calib` found."""
        return self.export / "calibration.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from writing this run meanwhile, such as one that outlived the command that started it.

        Raises:
            EdgeKDError: If one writes it already, or the folder can't be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("w")
        except OSError as error:
            raise EdgeKDError(f"Can't write {self.path}: {error.strerror}; choose another --out.") from error
        with lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # goes with this process; its loader's children don't inherit it
            except (BlockingIOError, PermissionError) as error:
                raise EdgeKDError(
                    f"Another process is training into {self.path}; wait for it or stop it, or choose another --out."
                ) from error
            except OSError as error:
                note(f"{self.path} can't be locked ({error.strerror}): see that no other process trains into it.")
            yield

    def begin(self, recipe: Recipe, overwrite: bool = False) -> None:
        """Start a fresh run here.

        Raises:
            UsageError: If the folder holds a run already.
        """
        self.refuse_if_taken(overwrite)
        for stale in (self.last, self.best, self.metrics, *self.path.glob("events.out.tfevents.*")):
            stale.unlink(missing_ok=True)
        write_text(self.recipe_file, dump_recipe(recipe))

    def refuse_if_taken(self, overwrite: bool) -> None:
        """Say so if a run is here already.

        Raises:
            UsageError: If the folder holds a run and it may not be replaced.
        """
        if self.last.exists() and not overwrite:
            raise UsageError(
                f"{self.path} holds a run already: continue it with --resume, replace it with --overwrite, or choose another --out."
            )

    def log(self, record: dict[str, Any]) -> None:
        """Append to `metrics.jsonl`."""
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise EdgeKDError(f"Can't write {self.metrics}: {error.strerror}; free some space and continue with --resume.") from error

    def rewind(self, step: int) -> None:
        """Drop log lines after `step`, which a resumed run writes again."""
        if self.metrics.exists():
            kept = [line for line in self.metrics.read_text(encoding="utf-8", errors="replace").splitlines() if _step_of(line) <= step]
            write_text(self.metrics, "".join(f"{line}\n" for line in kept))

    def history(self) -> list[dict[str, Any]]:
        """All log records."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text(encoding="utf-8", errors="replace").splitlines()
        whole = [line for line in lines if _step_of(line) < _TORN]
        if len(whole) < len(lines):
            note(f"{self.metrics}: {len(lines) - len(whole)} of {len(lines)} lines are torn and left out.")
        return [json.loads(line) for line in whole]

    def save_state(self, state: dict[str, Any]) -> None:
        """Replace `last.pt` atomically."""
        with atomic(self.last) as temporary:
            try:
                torch.save(state, temporary)
            except RuntimeError as error:  # torch wraps a full disk so
                raise EdgeKDError(f"Can't write {self.last} ({str(error).splitlines()[0]}); the previous one is kept.") from error

    def load_state(self) -> dict[str, Any]:
        """The state in `last.pt`, without running any pickled code.

        Raises:
            EdgeKDError: If it is missing or damaged.
        """
        if not self.last.is_file():
            raise EdgeKDError(f"Nothing to resume: no {self.last}.")
        try:
            return torch.load(self.last, map_location="cpu", weights_only=True)
        except Exception as error:  # zip, pickle and runtime errors alike
            raise EdgeKDError(f"{self.last} can't be read as a training state; start again without --resume.") from error


_TORN = 1 << 62
"""Step of a line that was cut short: after all others."""


def home_of(path: Path) -> Path:
    """The folder of a run, or of the checkpoint file of one."""
    return path if path.is_dir() else path.parent


def open_run(path: str | Path) -> Run:
    """The run of a folder, or the one that a checkpoint file lies in.

    Raises:
        EdgeKDError: If there is none.
    """
    run = Run(home_of(Path(path)))
    if not run.recipe_file.is_file():
        raise EdgeKDError(f"{path} is no run: it has no {RECIPE_FILE}; give a folder that `edgekd train` or `edgekd distill` wrote.")
    return run


def _step_of(line: str) -> int:
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return _TORN  # a line cut short by a kill goes too
    return step if type(step) is int and step < _TORN else _TORN
