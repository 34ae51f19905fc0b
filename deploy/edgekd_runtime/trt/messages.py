"""What TensorRT says while it works: its errors become the reason in our own sentence, nothing is printed."""

from collections.abc import Callable
from typing import TypeVar

from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.trt.api import trt

T = TypeVar("T")


class Messages:
    """The errors that one logger heard, in order."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def last(self) -> str:
        """The latest."""
        return self.errors[-1] if self.errors else "it gave no reason"

    def reasons(self) -> str:
        """All of them, each once: the first is often the cause of the others."""
        return "; ".join(dict.fromkeys(self.errors)) or "it gave no reason"

    def logger(self) -> "trt.ILogger":
        """A logger that tells them here."""
        errors = self.errors

        class Logger(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: "trt.ILogger.Severity", msg: str) -> None:
                if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                    errors.append(msg.strip())

        return Logger()

    def start(self, kind: Callable[["trt.ILogger"], T], logger: "trt.ILogger") -> T:
        """A builder or a runtime. Where TensorRT can't make one, its bindings raise TypeError and only the logger hears why.

        Raises:
            EdgeKDError: With TensorRT's reason.
        """
        try:
            made = kind(logger)
        except TypeError as error:
            raise EdgeKDError(f"TensorRT can't start here: {self.reasons()}; check the driver with `edgekd check`.") from error
        if made is None:
            raise EdgeKDError(f"TensorRT can't start here: {self.reasons()}; check the driver with `edgekd check`.")
        return made
