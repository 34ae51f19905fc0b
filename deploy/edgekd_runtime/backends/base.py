"""What every backend offers."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.image import fit, fit_classes
from edgekd_runtime.latency import Parts


class Session(ABC):
    """A loaded model: image in, class map out.

    Attributes:
        artifact: The model's sidecar.
        backend: Name of the backend, with the device.
        version: Of the library that runs it.
        notes: What the reader of its figures should know, in sentences.
    """

    artifact: Artifact
    backend: str
    version: str
    notes: tuple[str, ...] = ()

    @abstractmethod
    def run(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """The bare network call: contiguous uint8 1×H×W×3 of the artifact's size → its output as it is."""

    def run_apart(self, image: NDArray[np.uint8]) -> Parts:
        """`run`, its output thrown away, timed on the device: seconds of ``h2d``, ``compute``, ``d2h`` and the host's ``enqueue``.

        Empty where there is no device apart from the CPU.
        """
        return Parts()

    def close(self) -> None:  # noqa: B027  (optional to override)
        """Free what the backend holds; nothing by default."""

    def class_map(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """RGB image of any size, uint8 H×W×3 → class map uint8 at the network's size."""
        result = self.run(fit(image, self.artifact.size)[None])
        return result[0] if self.artifact.output == "classes" else result[0].argmax(0).astype(np.uint8)

    def predict(self, image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        """RGB image → class map uint8 at `size` (H, W), the form that `edgekd_runtime.accuracy.score` takes."""
        return fit_classes(self.class_map(image), size)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
