"""The calibration table: what INT8 ranges were found, on which images, for which model. JSON, reusable, refused for another model."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from edgekd_calib.ranges import LEVELS, METHODS, Range
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.files import read_json, write_json
from edgekd_runtime.typed import Matches, typed

SCHEMA_VERSION = 3


@dataclass(frozen=True)
class CalibrationTable:
    """Ranges of a model's tensors.

    Attributes:
        model_sha256: Of the FP32 ``model.onnx``.
        method: How the ranges were found.
        seed: Of the choice of the images.
        images: SHA-256 of each calibration image at the network's rectangle → its name.
        ranges: Tensor → lowest and highest value represented.
    """

    model_sha256: str
    method: Annotated[str, Matches("|".join(METHODS), f"one of {', '.join(METHODS)}")]
    seed: int
    images: dict[str, str]
    ranges: dict[str, Range]

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            if low > high:
                raise UsageError(f"The range of {name} goes from {low:g} down to {high:g}.")

    @property
    def scales(self) -> dict[str, float]:
        """Tensor → scale of a symmetric INT8, as TensorRT's form has it."""
        return {name: max(-low, high) / LEVELS for name, (low, high) in self.ranges.items()}

    def save(self, file: Path) -> None:
        """Write as JSON."""
        write_json(file, {"schema_version": SCHEMA_VERSION, **asdict(self)})

    def require(self, model_sha256: str, source: str) -> None:
        """Refuse another model than the table's.

        Raises:
            EdgeKDError: If the model has changed.
        """
        if model_sha256 != self.model_sha256:
            raise EdgeKDError(f"{source} was made for another model (or an older export of this one); calibrate again: edgekd calib make.")


def load_table(file: Path) -> CalibrationTable:
    """Read a table.

    Raises:
        EdgeKDError: If it is missing, no table, or a field is missing or wrong.
    """
    document, mend = read_json(file), "make one with `edgekd calib make`"
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        raise EdgeKDError(f"{file} is no calibration table of schema {SCHEMA_VERSION}; {mend}.")
    table = typed(CalibrationTable, document, str(file), mend)
    if not table.images:
        raise EdgeKDError(f"{file}: images is empty; {mend}.")
    return table
