"""What a benchmark measures: cases, and how one that fails does not stop the others."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgekd_runtime.backends import BACKENDS, USUAL, backend_named, installed, made_for
from edgekd_runtime.errors import EdgeKDError, UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Case:
    """A model file on a backend (None = its usual one), with CPU threads (0 = the backend's default) and images a call."""

    file: Path
    backend: str | None
    threads: int = 0
    batch: int = 1


Failed = Callable[[Case, EdgeKDError], None]


def plan(files: Sequence[Path], backends: Sequence[str] = (), threads: Sequence[int] = (0,), batches: Sequence[int] = (1,)) -> list[Case]:
    """Every file on every backend that reads it, with every number of threads and images; each once.

    Without backends: on every one that is installed and that the file is made for; a file that is made for none of them is left out.

    Raises:
        UsageError: If a backend is unknown, or reads none of the files.
    """
    _require(backends, files)
    return list(
        dict.fromkeys(
            Case(file, backend, count, batch)
            for file in files
            for backend in (_fitting(file, backends) if backends else _suiting(file))
            for count in threads
            for batch in batches
        )
    )


def _fitting(file: Path, backends: Sequence[str]) -> Sequence[str | None]:
    """The backends among these that read the file; an engine runs on what built it, whatever is named for the other files."""
    if file.suffix not in USUAL:
        return [None]
    return [name for name in backends if BACKENDS[name].reads == file.suffix] or backends  # none: opening it will say why


def _suiting(file: Path) -> Sequence[str | None]:
    """The installed backends that a file is made for; its usual one where none of those that read it is installed: opening it says so."""
    if file.suffix not in USUAL:
        return [None]
    usable = [name for name in installed() if BACKENDS[name].reads == file.suffix]
    target = made_for(file)
    return [name for name in usable if target in ("", BACKENDS[name].target)] if usable else [None]


def left_out(files: Sequence[Path], cases: Sequence[Case]) -> list[str]:
    """A sentence for each file that no case measures."""
    measured = {case.file for case in cases}
    return [
        f"{file} is left out: it is made for {made_for(file)}, and no such backend is installed here; --backend measures it on another."
        for file in files
        if file not in measured
    ]


def _require(backends: Sequence[str], files: Sequence[Path]) -> None:
    """That each backend is known and has something to run: one left out without a word would look as if it had been measured."""
    suffixes = {file.suffix for file in files}
    for name in backends:
        if (reads := backend_named(name).reads) not in suffixes:
            fitting = [other for other, backend in BACKENDS.items() if backend.reads in suffixes]
            mend = f"use {' or '.join(fitting)}" if fitting else "give a model.onnx, a model.engine, or a folder that holds some"
            raise UsageError(f"{name} runs {reads} files only, and {files[0]} is none, nor is any other here; {mend}.")


def stop_at_failure(case: Case, error: EdgeKDError) -> None:
    """A `Failed` that lets the first failure end the benchmark."""
    raise error


def for_each(cases: Iterable[Case], work: Callable[[Case], T], failed: Failed) -> dict[Case, T]:
    """What `work` gives for each case; one that fails is told to `failed` and left out."""
    done: dict[Case, T] = {}
    for case in cases:
        try:
            done[case] = work(case)
        except EdgeKDError as error:
            failed(case, error)
        except Exception as error:  # each library has its own
            told = (str(error).strip() or repr(error)).splitlines()[0]
            failed(case, EdgeKDError(f"{case.file} failed while it ran: {told}"))
    return done
