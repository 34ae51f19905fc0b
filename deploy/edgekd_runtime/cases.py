"""What a benchmark measures: cases, and how one that fails does not stop the others."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgekd_runtime.backends import BACKENDS, USUAL
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

    Raises:
        UsageError: If a backend is unknown.
    """
    return list(
        dict.fromkeys(
            Case(file, backend, count, batch)
            for file in files
            for backend in _fitting(file, backends)
            for count in threads
            for batch in batches
        )
    )


def _fitting(file: Path, backends: Sequence[str]) -> Sequence[str | None]:
    """The backends among these that read the file; an engine runs on what built it, whatever is named for the other files."""
    unknown = [name for name in backends if name not in BACKENDS]
    if unknown:
        raise UsageError(f"Unknown backend {unknown[0]!r}; choose one of {', '.join(BACKENDS)}.")
    if not backends or file.suffix not in USUAL:
        return [None]
    return [name for name in backends if BACKENDS[name].reads == file.suffix] or backends


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
