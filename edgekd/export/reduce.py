"""A lower precision of an exported FP32 model, measured before it appears, with the layers kept higher that its budget asks for."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx

from edgekd.console import note
from edgekd.export.folder import whole_folder
from edgekd.export.judge import Budget, Judge, Quality
from edgekd.export.lowered import lowered_precision
from edgekd.export.precision import Kind, Wanted
from edgekd.export.search import SENSITIVITY_IMAGES, keep_fewest, measure_sensitivity
from edgekd_calib.forms import FORMS, WeightBits
from edgekd_calib.graph import load_graph
from edgekd_calib.half import LARGEST, OPSETS, half_nodes, out_of_range
from edgekd_calib.quantize import kept_by_design
from edgekd_calib.sensitivity import LayerSensitivity
from edgekd_calib.table import CalibrationTable
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.errors import GateError
from edgekd_runtime.files import sha256, write_json

SENSITIVITY_FILE = "sensitivity.json"
SENSITIVITY_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Ranked:
    """A layer's sensitivity, and what the written model computes it in."""

    layer: LayerSensitivity
    kept_in: str

    def to_json(self, key: str = "miou") -> dict[str, Any]:
        """A JSON-safe dictionary; `key` as for `LayerSensitivity.to_json`."""
        return self.layer.to_json(key) | {"kept_in": self.kept_in}


@dataclass(frozen=True)
class Reduced:
    """The outcome.

    Attributes:
        artifact: The sidecar of the new file.
        quality: As measured.
        kept: Nodes left in a higher precision, and why.
        sensitivity: Of the layers, where it was measured; the most sensitive first.
    """

    artifact: Artifact
    quality: Quality
    kept: dict[str, str]
    sensitivity: list[Ranked]


def reduce_model(
    judge: Judge,
    wanted: Wanted,
    out: Path,
    *,
    budget: Budget,
    table: CalibrationTable | None = None,
    weight_bits: WeightBits | None = None,
    rank: bool = False,
) -> Reduced:
    """Write a lower precision of an exported FP32 model; the layers that hurt stay above it until the budget is met.

    Args:
        judge: Of the FP32 model; its images also serve the range check and the search.
        wanted: The precision, and what it is for.
        out: Folder for ``model.onnx``, ``model.json`` and, where it was measured, ``sensitivity.json``.
        budget: What it may cost.
        table: INT8: ranges.
        weight_bits: INT8: see `edgekd_calib.quantize.quantize`.
        rank: Measure every layer's sensitivity even if the budget is met without.

    Raises:
        EdgeKDError: If the table is of another model.
        GateError: If the budget can't be met with any layer in the lower precision; nothing is written.
    """
    artifact, model, images, kind = judge.artifact, load_graph(judge.source), judge.images, wanted.kind
    if table is not None:
        table.require(artifact.sha256, "The calibration table")
    beyond = out_of_range(model, images.images, LARGEST[kind.half]) if kind.half else {}
    lowered = lowered_precision(model, wanted, table, weight_bits, beyond)
    kept = kept_anyway(model, kind, beyond)
    quality = judge(lowered.judged(kept), wanted.folder)
    missed = not quality.meets(kind, budget)
    if missed:
        note(f"{wanted.folder} alone misses its budget ({quality.words}); looking for the layers that hurt")
    sensitivity = measure_sensitivity(model, lowered, images, len(artifact.classes)) if missed or rank else []

    def attempt(keep: Collection[str]) -> tuple[bool, Quality]:
        found = judge(lowered.judged(keep), f"{wanted.folder}, {len(keep)} layers kept")
        return found.meets(kind, budget), found

    if missed:
        found = keep_fewest(sensitivity, kept, attempt)
        if found is None:
            raise GateError(
                f"{out / 'model.onnx'} was not written: no mix meets the budget ({quality.words} with every layer lowered); "
                "allow more with --max-miou-drop, calibrate on more images, or fine-tune with `edgekd distill --qat`."
            )
        kept, quality = kept | found[0], found[1]
    ranked = [Ranked(layer, _computes_in(kind, layer.name, kept, beyond)) for layer in sensitivity]
    graph = lowered.build(kept)
    with whole_folder(out) as folder:
        onnx.save(graph, folder / "model.onnx")
        if table is not None:
            table.save(folder / "calibration.json")
        reduction = quality.to_json() | {"kept": kept} | _how(wanted, table, weight_bits)
        result = lowered_artifact(artifact, wanted, folder / "model.onnx", reduction)
        result.save(folder)
        if ranked:
            _write_sensitivity(folder / SENSITIVITY_FILE, result, images.names[:SENSITIVITY_IMAGES], ranked)
        (out / SENSITIVITY_FILE).unlink(missing_ok=True)  # of an earlier model in this folder
    return Reduced(result, quality, kept, ranked)


def lowered_artifact(fp32: Artifact, wanted: Wanted, file: Path, reduction: dict[str, Any]) -> Artifact:
    """The sidecar of a lower precision of a model.

    Args:
        fp32: That of the FP32 form.
        wanted: The precision, and what it is for.
        file: The new model.
        reduction: What is known of the difference.
    """
    return replace(
        fp32,
        name=f"{fp32.name.removesuffix(' fp32')} {wanted.folder}",
        precision=wanted.precision,
        target=wanted.target,
        opset=OPSETS.get(wanted.precision, fp32.opset),
        sha256=sha256(file),
        reduction=reduction,
    )


def kept_anyway(model: Any, kind: Kind, beyond: dict[str, float]) -> dict[str, str]:
    """What stays higher whatever the budget: by design, and what half precision can't hold."""
    kept = kept_by_design(model.graph) if kind.quantised else {}
    able = half_nodes(model, kind.half) if kind.half else []
    return kept | {name: f"meets {value:.3g}, beyond {kind.half}" for name, value in beyond.items() if name in able}


def _computes_in(kind: Kind, name: str, kept: Collection[str], beyond: Collection[str]) -> str:
    if name not in kept:
        return "int8" if kind.quantised else str(kind.half)
    return kind.half if kind.quantised and kind.half and name not in beyond else "fp32"


def _how(wanted: Wanted, table: CalibrationTable | None, weight_bits: int | None) -> dict[str, Any]:
    if table is None:
        return {}
    bits = weight_bits or FORMS[wanted.target].weight_bits
    return {"weight_bits": bits, "method": table.method, "seed": table.seed, "calibration_images": list(table.images)}


def _write_sensitivity(file: Path, artifact: Artifact, images: list[str], ranked: list[Ranked]) -> None:
    document = {"precision": artifact.precision, "model_sha256": artifact.sha256, "images": images}
    write_json(
        file, {"schema_version": SENSITIVITY_SCHEMA_VERSION, **document, "layers": [one.to_json(artifact.score_key) for one in ranked]}
    )
