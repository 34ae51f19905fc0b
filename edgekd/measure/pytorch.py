"""PyTorch as backends: a run's own weights in the form that ships, eager or compiled; the runtime, which has no PyTorch, is told of them.

`python -m edgekd.measure.pytorch FILE BACKEND THREADS BATCH` prints bytes, as `edgekd_runtime.memory` does.
"""

import functools
import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.runs import Run
from edgekd_runtime import memory, tf32
from edgekd_runtime.artifact import MODEL_FILES, Artifact, find_models
from edgekd_runtime.backends import BACKENDS, DESCRIBED, USUAL, Backend, open_session
from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError

SUFFIX = ".safetensors"
_KINDS = {"torch": ("cpu", False), "torch-compile": ("cpu", True), "torch-cuda": ("cuda", False), "torch-compile-cuda": ("cuda", True)}
"""Name → device and whether it is compiled. Those on CUDA were not run here: no GPU was at hand."""


def register_torch() -> None:
    """Let the runtime's benchmark know PyTorch."""
    for name, (device, compiled) in _KINDS.items():
        opened = partial(TorchSession, backend=name, device=device, compiled=compiled)
        BACKENDS[name] = Backend(SUFFIX, opened, partial(_version, device, compiled), "edgekd.measure.pytorch", unasked=not compiled)
    USUAL[SUFFIX] = "torch"
    DESCRIBED[SUFFIX] = lambda checkpoint: _load(checkpoint)[1]


def model_files(paths: Sequence[Path], backends: Sequence[str]) -> list[Path]:
    """The files that these paths stand for, each once.

    Args:
        paths: Model files, checkpoints, runs, or folders that hold exported models.
        backends: What shall run them. A run is its exported models; its checkpoint too if PyTorch is named, and alone if nothing else
            is, or if nothing is and it has no exported model.

    Raises:
        EdgeKDError: If a path holds no model.
    """
    reads = {BACKENDS[name].reads for name in backends if name in BACKENDS}
    return list(dict.fromkeys(file for path in paths for file in _files(path, reads)))


def open_model(path: Path, backend: str | None = None, threads: int = 0) -> Session:
    """Open the one model that a path stands for, on any backend, PyTorch's among them; use the result as a context manager.

    Args:
        path: Model file, checkpoint, run, or a folder that holds one exported model.
        backend: A key of `BACKENDS` or ``package.module:NAME``; the file's usual one by default.
        threads: CPU threads; 0 = the backend's default.

    Raises:
        UsageError: If the path holds several models, or the backend is unknown or does not read such files.
        EdgeKDError: If it holds none, or the model can't be loaded.
    """
    register_torch()
    files = model_files([path], [backend] if backend else [])
    if len(files) > 1:
        raise UsageError(f"{path} holds {len(files)} models; name one of them, e.g. {files[0]}.")
    return open_session(files[0], backend, threads)


def _files(path: Path, reads: set[str]) -> list[Path]:
    checkpoint = Run(path).best
    if not checkpoint.is_file():
        return find_models(path)
    exported = any(file for name in MODEL_FILES for file in path.rglob(name))
    if reads == {SUFFIX} or not (reads or exported):
        return [checkpoint]
    return [*([checkpoint] if SUFFIX in reads else []), *find_models(path)]


def _version(device: str, compiled: bool) -> str:
    """Of PyTorch.

    Raises:
        MissingError: If it has no such device here, or no compiler to compile with.
    """
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise MissingError("PyTorch finds no NVIDIA GPU here; install its driver, or use --backend torch.")
    compiler = os.environ.get("CXX", "g++")
    if device == "cpu" and compiled and shutil.which(compiler) is None:
        raise MissingError(f"torch.compile needs a C++ compiler, and there is no {compiler} here: sudo apt install g++.")
    return metadata.version("torch") + (tf32.words() if device == "cuda" else "")


def _load(checkpoint: Path) -> tuple[Any, Artifact]:
    """The deployed form of a run's model, and what it is.

    Raises:
        EdgeKDError: If the checkpoint lies in no run, or is damaged.
        UsageError: If the model needs the label as input.
    """
    from edgekd.export.deployed import Deployed
    from edgekd.export.description import describe_run
    from edgekd.models import load_network
    from edgekd.runs import open_run

    recipe = open_run(checkpoint).recipe
    model, about = load_network(checkpoint)
    if about.in_channels != 3:
        raise UsageError(f"{checkpoint} is of a label-assisted teacher: it needs the label as input, so it can't be deployed.")
    artifact = describe_run(checkpoint.parent, recipe, model, about, checkpoint, size=recipe.data.size)
    return Deployed(model, artifact.size, "classes").eval(), artifact


@functools.cache
def _default_threads() -> int:
    """PyTorch's own choice, which is gone once a session has made another."""
    import torch

    return torch.get_num_threads()


class TorchSession(Session):
    """A run's model in PyTorch: the graph that `edgekd export` writes, before it is written."""

    def __init__(self, checkpoint: Path, artifact: Artifact, threads: int, *, backend: str, device: str, compiled: bool) -> None:
        self.artifact, self.backend, self.version = artifact, backend, _version(device, compiled)
        import torch

        self._torch, self._device = torch, device
        self._threads = threads or _default_threads()
        self._call = _load(checkpoint)[0].to(device)
        if compiled:
            # it counts by function, not by model: beyond 8 models, sizes or threads the rest would run as they are
            torch._dynamo.config.recompile_limit = 1 << 10
            self._call = torch.compile(self._call, fullgraph=True, dynamic=False)
        try:
            self.run(np.zeros((1, *artifact.size, 3), np.uint8))
        except Exception as error:  # of the compiler, of CUDA, of PyTorch
            told = (str(error).strip() or repr(error)).splitlines()[0]
            raise EdgeKDError(f"{checkpoint} does not run on {backend}: {told}; leave that backend out.") from error

    def run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        if self._torch.get_num_threads() != self._threads:  # one setting for all sessions
            self._torch.set_num_threads(self._threads)
        with self._torch.inference_mode():
            return self._call(self._torch.from_numpy(image).to(self._device)).cpu().numpy()


if __name__ == "__main__":
    register_torch()
    sys.exit(memory.main(*sys.argv[1:]))
