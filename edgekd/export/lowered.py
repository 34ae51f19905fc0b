"""How a model is brought to a lower precision: FP16 and BF16 by casts, INT8 by Q/DQ, or both."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from edgekd.export.precision import Wanted
from edgekd_calib.forms import FORMS, WeightBits
from edgekd_calib.half import half_nodes, rounded, to_half
from edgekd_calib.quantize import quantised_layers, quantize
from edgekd_calib.table import CalibrationTable


@dataclass(frozen=True)
class Lowered:
    """A lower precision of one model: which nodes it is for, and the graph with some of them left alone.

    Attributes:
        nodes: Names of the nodes that may be kept in FP32.
        build: Names to keep → ModelProto.
        judged: The same, in the form that is measured; it differs where ONNX Runtime's CPU has no kernels of the precision.
    """

    nodes: list[str]
    build: Callable[[Collection[str]], Any]
    judged: Callable[[Collection[str]], Any]


def lowered_precision(
    model: Any, wanted: Wanted, table: CalibrationTable | None, weight_bits: WeightBits | None = None, beyond: Collection[str] = ()
) -> Lowered:
    """How a model is brought to a lower precision.

    Args:
        model: FP32 ModelProto.
        wanted: The precision, and what it is for.
        table: Ranges, where it is quantised.
        weight_bits: See `edgekd_calib.quantize.quantize`.
        beyond: Nodes that half precision can't hold.
    """
    half = wanted.kind.half
    if table is None:
        if half is None:
            raise ValueError("INT8 needs a calibration table")
        cast, emulated = partial(to_half, model, half), partial(rounded, model, half)
        return Lowered(half_nodes(model, half), cast, emulated if half == "bf16" else cast)
    form = FORMS[wanted.target]

    def build(keep: Collection[str]) -> Any:
        quantised = quantize(model, table, form, weight_bits=weight_bits, keep=keep)
        return to_half(quantised, half, beyond) if half is not None else quantised

    return Lowered(quantised_layers(model.graph, form), build, build)
