"""The precisions below FP32, as data: what each is made of. Light to import, because the command line's choices come from here."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd_calib.half import Half


@dataclass(frozen=True)
class Kind:
    """What a precision is made of.

    Attributes:
        quantised: Its layers are INT8, so it needs a calibration table.
        half: What everything else works in; None = FP32.
    """

    quantised: bool
    half: "Half | None"


LOWER = {"fp16": Kind(False, "fp16"), "bf16": Kind(False, "bf16"), "int8": Kind(True, None), "int8-fp16": Kind(True, "fp16")}
PRECISIONS = ("fp32", *LOWER)
