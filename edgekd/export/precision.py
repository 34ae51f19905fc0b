"""The precisions below FP32, as data: what each is made of. Light to import, because the command line's choices come from here."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekd_runtime.artifact import CPU, ENGINE_SOURCE, TENSORRT

if TYPE_CHECKING:
    from edgekd_calib.half import Half


@dataclass(frozen=True)
class Kind:
    """What a precision is made of.

    Attributes:
        quantised: Its layers are INT8, so it needs a calibration table.
        half: What everything else works in; None = FP32.
        targets: What it can be written for, each in a form of its own; one file for all where there is none.
    """

    quantised: bool
    half: "Half | None"
    targets: tuple[str, ...] = ("",)


LOWER = {
    "fp16": Kind(False, "fp16"),
    "bf16": Kind(False, "bf16"),
    "int8": Kind(True, None, (CPU, TENSORRT)),
    "int8-fp16": Kind(True, "fp16", (TENSORRT,)),
}
PRECISIONS = ("fp32", *LOWER)
TARGETS = (CPU, TENSORRT)


@dataclass(frozen=True)
class Wanted:
    """A lower precision in the form of one target (empty where one file serves all)."""

    precision: str
    target: str

    @property
    def kind(self) -> Kind:
        """What it is made of."""
        return LOWER[self.precision]

    @property
    def folder(self) -> str:
        """Where it lies in an export: under the precision's name, and a second form as the source of its engine."""
        return self.precision if self.target == self.kind.targets[0] else f"{self.precision}{ENGINE_SOURCE}"


def wanted(precisions: Iterable[str], targets: Collection[str]) -> list[Wanted]:
    """Each lower precision for each of the targets that it has a form of, and for its only one whatever the targets are."""
    lower = [name for name in dict.fromkeys(precisions) if name in LOWER]
    return [Wanted(name, one) for name in lower for one in LOWER[name].targets if one in targets or len(LOWER[name].targets) == 1]
