"""Lower precisions of an exported FP32 model: FP16 and BF16 by casts, INT8 by Q/DQ, or both; each measured before it appears."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd.console import note, progress
from edgekd.data import Layout
from edgekd.export.calibration import CalibrationSet
from edgekd.export.folder import whole_folder
from edgekd_calib.graph import Image, load_graph, run_graph
from edgekd_calib.half import LARGEST, OPSETS, Half, half_nodes, out_of_range, rounded, to_half
from edgekd_calib.quantize import WeightBits, kept_by_design, quantised_layers, quantize
from edgekd_calib.sensitivity import LayerSensitivity, fewest_kept, layer_sensitivity
from edgekd_calib.table import CalibrationTable
from edgekd_runtime.accuracy import ConfusionMatrix
from edgekd_runtime.artifact import Artifact, load_artifact
from edgekd_runtime.errors import GateError
from edgekd_runtime.files import sha256
from edgekd_runtime.image import fit, fit_classes

SENSITIVITY_IMAGES = 8


@dataclass(frozen=True)
class Kind:
    """What a precision is made of.

    Attributes:
        quantised: Its layers are INT8, so it needs a calibration table.
        half: What everything else works in; None = FP32.
    """

    quantised: bool
    half: Half | None


LOWER = {"fp16": Kind(False, "fp16"), "bf16": Kind(False, "bf16"), "int8": Kind(True, None), "int8-fp16": Kind(True, "fp16")}
PRECISIONS = ("fp32", *LOWER)


@dataclass(frozen=True)
class Budget:
    """What a lower precision may cost.

    Attributes:
        agreement: Least share of pixels whose class stays as FP32 has it, on the calibration images. For half precision.
        miou_drop: Largest loss of validation mIoU, in points; None = measured, and not limited.
    """

    agreement: float = 0.99
    miou_drop: float | None = None


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
    model: Any, kind: Kind, table: CalibrationTable | None, weight_bits: WeightBits, beyond: Collection[str] = ()
) -> Lowered:
    """How a model is brought to a lower precision.

    Args:
        model: FP32 ModelProto.
        kind: One of `LOWER`.
        table: Ranges, where the kind is quantised.
        weight_bits: See `edgekd_calib.quantize.quantize`.
        beyond: Nodes that half precision can't hold.
    """
    half = kind.half
    if table is None:
        if half is None:
            raise ValueError("INT8 needs a calibration table")
        cast, emulated = partial(to_half, model, half), partial(rounded, model, half)
        return Lowered(half_nodes(model, half), cast, emulated if half == "bf16" else cast)

    def build(keep: Collection[str]) -> Any:
        quantised = quantize(model, table, weight_bits=weight_bits, keep=keep)
        return to_half(quantised, half, beyond) if half is not None else quantised

    return Lowered(quantised_layers(model.graph), build, build)


@dataclass(frozen=True)
class Quality:
    """What a lower precision was measured to be, beside FP32.

    Attributes:
        agreement: Share of pixels of the calibration images whose class stays.
        miou, fp32_miou: On the validation images, in 0–1.
        images: How many of those.
    """

    agreement: float
    miou: float
    fp32_miou: float
    images: int

    def meets(self, kind: Kind, budget: Budget) -> bool:
        """Whether it is within the budget."""
        close = kind.quantised or self.agreement >= budget.agreement
        return close and (budget.miou_drop is None or 100 * (self.fp32_miou - self.miou) <= budget.miou_drop)


class Judge:
    """Measures graphs of one model against its FP32 form, Q/DQ as they are written, so that no CPU's kernels colour the result.

    Args:
        source: FP32 ``model.onnx`` with its sidecar.
        images: Calibration images, for the agreement.
        layout: Validation split, for the mIoU.
        count: Validation images, spread over the split; None = all.
    """

    def __init__(self, source: Path, images: CalibrationSet, layout: Layout, count: int | None = None) -> None:
        self.source, self.images, self.layout = source, images, layout
        self.artifact, model = load_artifact(source), load_graph(source)
        count = min(len(layout), count or len(layout))
        self.indices = np.linspace(0, len(layout) - 1, count).round().astype(int)
        self.maps = self._class_maps(model)
        self.fp32_miou = self._miou(model, "fp32")

    def __call__(self, model: Any, what: str) -> Quality:
        agreement = np.mean([(given == expected).mean() for given, expected in zip(self._class_maps(model), self.maps, strict=True)])
        return Quality(float(agreement), self._miou(model, what), self.fp32_miou, len(self.indices))

    def _classes(self, output: NDArray[Any]) -> NDArray[np.uint8]:
        return output[0] if self.artifact.output == "classes" else output[0].argmax(0).astype(np.uint8)

    def _class_maps(self, model: Any) -> list[NDArray[np.uint8]]:
        name = model.graph.output[0].name
        return [self._classes(outputs[0]) for outputs in run_graph(model, self.images.images, [name], optimise=False)]

    def _miou(self, model: Any, what: str) -> float:
        matrix = ConfusionMatrix(len(self.artifact.classes))
        labels: list[NDArray[np.uint8]] = []

        def images() -> Iterator[Image]:
            for index in self.indices:
                image, label = self.layout.read(int(index))
                labels.append(label)
                yield fit(image, self.artifact.size)[None]

        with progress(f"accuracy, {what}") as update:
            for done, outputs in enumerate(run_graph(model, images(), [model.graph.output[0].name], optimise=False), 1):
                label = labels.pop()
                matrix.update(label, fit_classes(self._classes(outputs[0]), (label.shape[0], label.shape[1])))
                update(done, len(self.indices))
        return matrix.accuracy().miou


@dataclass(frozen=True)
class Reduced:
    """The outcome.

    Attributes:
        artifact: The sidecar of the new file.
        quality: As measured.
        kept: Nodes left in FP32, and why.
        sensitivity: Of the layers, where it was measured; the most sensitive first.
    """

    artifact: Artifact
    quality: Quality
    kept: dict[str, str]
    sensitivity: list[LayerSensitivity]


def reduce_model(
    judge: Judge,
    precision: str,
    out: Path,
    *,
    budget: Budget,
    table: CalibrationTable | None = None,
    weight_bits: WeightBits = 7,
) -> Reduced:
    """Write a lower precision of an exported FP32 model; the layers that hurt stay in FP32 until the budget is met.

    Args:
        judge: Of the FP32 model; its images also serve the range check and the search.
        precision: One of `LOWER`.
        out: Folder for ``model.onnx`` and ``model.json``.
        budget: What it may cost.
        table: INT8: ranges.
        weight_bits: INT8: see `edgekd_calib.quantize.quantize`.

    Raises:
        EdgeKDError: If the table is of another model.
        GateError: If the budget can't be met with any layer in the lower precision; nothing is written.
    """
    artifact, model, images = judge.artifact, load_graph(judge.source), judge.images
    if table is not None:
        table.require(artifact.sha256, "The calibration table")
    kind = LOWER[precision]
    beyond = out_of_range(model, images.images, LARGEST[kind.half]) if kind.half else {}
    lowered = lowered_precision(model, kind, table, weight_bits, beyond)
    kept = kept_by_design(model.graph) if kind.quantised else {}
    kept |= {name: f"meets {value:.3g}, beyond {kind.half}" for name, value in beyond.items() if name in lowered.nodes}
    quality = judge(lowered.judged(kept), precision)
    sensitivity: list[LayerSensitivity] = []
    if not quality.meets(kind, budget):
        note(f"{precision} alone misses its budget ({_words(quality)}); looking for the layers that hurt")
        sensitivity = measure_sensitivity(model, lowered, images, len(artifact.classes))
        kept, quality = _fewest(lowered, kept, sensitivity, partial(_try, judge, lowered, precision, budget), out, quality)
    graph = lowered.build(kept)
    with whole_folder(out) as folder:
        onnx.save(graph, folder / "model.onnx")
        if table is not None:
            table.save(folder / "calibration.json")
        result = replace(
            artifact,
            name=f"{artifact.name.removesuffix(' fp32')} {precision}",
            precision=precision,
            opset=OPSETS.get(precision, artifact.opset),
            sha256=sha256(folder / "model.onnx"),
            reduction=asdict(quality) | {"kept": kept} | _how(table, weight_bits),
        )
        result.save(folder)
    return Reduced(result, quality, kept, sensitivity)


def measure_sensitivity(model: Any, lowered: Lowered, images: CalibrationSet, num_classes: int) -> list[LayerSensitivity]:
    """Each layer alone in the lower precision, on the first calibration images; the noisiest first."""

    def only(name: str) -> Any:
        return lowered.judged([other for other in lowered.nodes if other != name])

    few = slice(SENSITIVITY_IMAGES)
    with progress("sensitivity") as update:
        return layer_sensitivity(
            model, lowered.nodes, only, images.images[few], images.labels[few], num_classes, lambda done: update(done, len(lowered.nodes))
        )


def _try(judge: Judge, lowered: Lowered, precision: str, budget: Budget, keep: Collection[str]) -> tuple[bool, Quality]:
    quality = judge(lowered.judged(keep), f"{precision}, {len(keep)} layers in fp32")
    return quality.meets(LOWER[precision], budget), quality


def _fewest(
    lowered: Lowered,
    kept: dict[str, str],
    sensitivity: Sequence[LayerSensitivity],
    attempt: Callable[[Collection[str]], tuple[bool, Quality]],
    out: Path,
    quality: Quality,
) -> tuple[dict[str, str], Quality]:
    """The fewest layers to keep, and what is measured with them."""
    noise = {layer.name: layer.snr_db for layer in sensitivity}
    tried: dict[int, Quality] = {}

    def good(names: Sequence[str]) -> bool:
        met, tried[len(names)] = attempt([*kept, *names])
        return met

    order = [layer.name for layer in sensitivity if layer.name not in kept]
    chosen = fewest_kept(order, good)
    if chosen is None:
        raise GateError(
            f"{out / 'model.onnx'} was not written: no mix meets the budget ({_words(quality)} with every layer lowered); "
            "allow more with --max-miou-drop, calibrate on more images, or fine-tune with `edgekd distill --qat`."
        )
    return kept | {name: f"signal to noise {noise[name]:.1f} dB alone" for name in chosen}, tried[len(chosen)]


def _how(table: CalibrationTable | None, weight_bits: int) -> dict[str, Any]:
    if table is None:
        return {}
    return {"weight_bits": weight_bits, "method": table.method, "calibration_images": list(table.images)}


def _words(quality: Quality) -> str:
    drop = 100 * (quality.fp32_miou - quality.miou)
    return f"mIoU {100 * quality.miou:.2f}, {drop:.2f} below fp32; same class on {100 * quality.agreement:.2f} % of the pixels"
