"""Peak memory of a model, in a process of its own: nothing else is counted, and a crash there ends no benchmark.

`python -m edgekd_runtime.memory FILE BACKEND THREADS BATCH` prints bytes.
"""

import sys
from pathlib import Path

import numpy as np

from edgekd_runtime.backends import BACKENDS, USUAL, open_session
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.process import run_module

_ERRORS: dict[int, type[EdgeKDError]] = {kind.exit_code: kind for kind in (EdgeKDError, UsageError, MissingError)}
_STATUS = Path("/proc/self/status")


def peak_memory(model_file: Path, backend: str | None, threads: int, batch: int = 1) -> int | None:
    """Load a model in a process of its own, run it three times, and see how far that process grew.

    Returns:
        Bytes of resident memory at the peak, beyond Python, NumPy and OpenCV; the backend's library counts, memory on a GPU does not.
        None where the system has no ``/proc``.

    Raises:
        EdgeKDError: If the model can't be loaded or run, or the process dies; the backend's own error otherwise.
    """
    known = BACKENDS.get(backend or USUAL.get(model_file.suffix, ""))
    done = run_module(known.program if known else __name__, [str(model_file), backend or "", str(threads), str(batch)])
    if done.returncode < 0:
        raise EdgeKDError(f"{model_file} killed its process (signal {-done.returncode}); free some memory, or export it again.")
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"{model_file} ended its process with status {done.returncode}."]
        raise _ERRORS.get(done.returncode, EdgeKDError)(said[-1])
    return int(done.stdout.split()[-1]) or None


def run_batches(model_file: Path, backend: str | None, threads: int, batch: int, calls: int = 3) -> None:
    """Load a model and run it on noise.

    Raises:
        EdgeKDError: If it can't be loaded, does not run, or does not take that many images at a time.
    """
    with open_session(model_file, backend, threads) as session:
        images = np.random.default_rng(0).integers(0, 256, (batch, *session.artifact.size, 3)).astype(np.uint8)
        for _ in range(calls):
            try:
                fits = len(session.run(images)) == batch
            except Exception as error:  # each library has its own
                if batch == 1:
                    raise EdgeKDError(f"{model_file} does not run on {session.backend}: {str(error).strip().splitlines()[0]}") from error
                fits = False
            if not fits:
                raise EdgeKDError(
                    f"{model_file} does not take {batch} images at a time on {session.backend}; export it with --max-batch {batch}, "
                    "and leave --batch out for engines."
                )


def _resident(field: str) -> int:
    """A field of this process's status, bytes; 0 where the system has none. getrusage's peak would be the parent's, kept over exec."""
    lines = _STATUS.read_text().splitlines() if _STATUS.is_file() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def main(model_file: str, backend: str, threads: str, batch: str) -> int:
    """Print the bytes; the exit status."""
    before = _resident("VmRSS")
    try:
        run_batches(Path(model_file), backend or None, int(threads), int(batch))
    except EdgeKDError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(_resident("VmHWM") - before)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
