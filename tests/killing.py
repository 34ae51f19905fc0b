"""Verbs in processes of their own that are killed at a moment: by the clock, or before the n-th change that they make to a folder."""

import importlib
import multiprocessing
import os
import signal
import sys
import time

WARM = ["edgekd.cli", "edgekd_runtime.cli", "cv2", "numpy", "pydantic", "yaml", "rich.table", "onnxruntime"]
CHANGES = {"os.rename": 2, "os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.link": 2, "os.symlink": 2, "os.chmod": 1, "os.truncate": 1}
"""Audit events of a change, and how many of their arguments are paths."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Killer:
    """Starts verbs from one warm process, so that none waits for imports.

    Args:
        folder: Whose changes are counted.
        program: ``edgekd`` or ``edgekd_runtime``.
        warm: More modules to import once.
    """

    def __init__(self, folder, program, *warm):
        self.folder, self._program = str(folder), program
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*WARM, *warm])

    def run(self, words, *, before=None, after_s=None):
        """Run `PROGRAM WORDS`, whole or to the moment.

        Args:
            words: Of the command line.
            before: Kill it before its change of this number, from 1.
            after_s: Kill it after so many seconds.

        Returns:
            Its exit status (-9: killed), its changes, and its seconds.
        """
        count = self._context.Value("i", 0)
        process = self._context.Process(target=_run, args=(self._program, [str(word) for word in words], self.folder, before, count))
        begin = time.monotonic()
        process.start()
        process.join(after_s)
        if process.is_alive():
            process.kill()
            process.join()
        return process.exitcode, count.value, time.monotonic() - begin


def _run(program, words, folder, before, count):
    def hear(event, arguments):
        if event == "open":
            path, _, flags = arguments
            paths = [path] if (flags or 0) & WRITES else []
        else:
            paths = arguments[: CHANGES.get(event, 0)]
        if any(isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(folder) for path in paths):
            if count.value + 1 == before:
                os.kill(os.getpid(), signal.SIGKILL)
            count.value += 1

    main = importlib.import_module(f"{program}.cli").main
    quiet = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(quiet, stream)
    sys.addaudithook(hear)
    sys.exit(main(words))
