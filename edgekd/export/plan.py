"""Everything that one `edgekd export` makes: FP32 first, from it the lower precisions, and an engine of each on request."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekd.config import Recipe
from edgekd.console import note, progress
from edgekd.data import Layout
from edgekd.export.calibration import CalibrationSet, calibrate, calibration_set
from edgekd.export.deployed import Output
from edgekd.export.judge import Budget, Judge
from edgekd.export.onnx import export_run
from edgekd.export.parity import ParityLimits
from edgekd.export.precision import LOWER, TARGETS, Wanted, wanted
from edgekd.export.reduce import Reduced, reduce_model
from edgekd_calib.forms import WeightBits
from edgekd_calib.graph import load_graph
from edgekd_calib.rules import require_tensorrt
from edgekd_calib.table import CalibrationTable, load_table
from edgekd_runtime.artifact import CPU, TENSORRT, Artifact, load_artifact
from edgekd_runtime.trt.api import installed_family
from edgekd_runtime.trt.build import BuildOptions
from edgekd_runtime.trt.engine import engine_folder, require_builder, require_options, write_engine


@dataclass(frozen=True)
class Calibration:
    """How INT8 ranges are found.

    Attributes:
        images: Training images.
        method: A key of `edgekd_calib.ranges.METHODS`.
        table: A table that is there already; None = calibrate.
        seed: Of the choice of the images.
        weight_bits: 7 or 8; what suits each target where absent.
    """

    images: int = 64
    method: str = "percentile"
    table: Path | None = None
    seed: int = 0
    weight_bits: WeightBits | None = None


@dataclass(frozen=True)
class ExportPlan:
    """What is wanted.

    Attributes:
        precisions: Of `edgekd.export.precision.PRECISIONS`; FP32 is always written, as the source of the others.
        targets: What INT8 is written for; TensorRT too where engines are built.
        size: Network input (H, W); the recipe's where absent.
        output: ``classes`` or ``logits``.
        parity_images: Validation images that FP32 is compared with PyTorch on.
        limits: When parity counts as missed.
        budget: What a lower precision may cost.
        score_images: Validation images that lower precisions are scored on; None = all.
        rank: Measure the sensitivity of every layer, whether or not a budget asks for it.
        calibration: Of INT8, and the images of every lower precision.
        max_batch: Above 1: a dynamic batch up to this.
        engine: Build an engine of each; None = none.
        family: TensorRT family of the engines; None = what is installed.
    """

    precisions: tuple[str, ...] = ("fp32",)
    targets: tuple[str, ...] = (CPU,)
    size: tuple[int, int] | None = None
    output: Output = "classes"
    parity_images: int = 32
    limits: ParityLimits = field(default_factory=ParityLimits)
    budget: Budget = field(default_factory=Budget)
    score_images: int | None = None
    rank: bool = False
    calibration: Calibration = field(default_factory=Calibration)
    max_batch: int = 1
    engine: BuildOptions | None = None
    family: str | None = None


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        file: The model.
        artifact: Its sidecar.
        reduced: Of a lower precision: what was measured.
    """

    file: Path
    artifact: Artifact
    reduced: Reduced | None = None


def export_all(run: Path, recipe: Recipe, layouts: tuple[Layout, Layout], out: Path, plan: ExportPlan) -> list[Exported]:
    """Export a run in every precision of the plan, each in a folder of its own name, and a second form of it in one beside that.

    Args:
        run: Run folder.
        recipe: Its recipe.
        layouts: Training split, to calibrate on, and validation split, to measure on.
        out: Folder of the folders.
        plan: What is wanted.

    Raises:
        GateError: If parity or a budget is missed; what was written before stays.
        EdgeKDError: What went wrong, in a sentence.
    """
    family, given = require_before(plan)
    source = out / "fp32" / "model.onnx"
    first = export_run(
        run,
        recipe,
        layouts[1],
        out / "fp32",
        size=plan.size,
        output=plan.output,
        images=plan.parity_images,
        limits=plan.limits,
        max_batch=plan.max_batch,
    )
    return [Exported(source, first), *export_lower(first, layouts, out, plan, family, given)]


def require_before(plan: ExportPlan) -> tuple[str, CalibrationTable | None]:
    """The TensorRT family and the calibration table of a plan: what is missing or does not fit should not wait for the export.

    Raises:
        MissingError: If there is no builder.
        EdgeKDError: If the table can't be read.
    """
    family = plan.family or installed_family() if plan.engine else ""
    if plan.engine is not None:
        require_options(family, require_builder(family), plan.engine)
    return family, load_table(plan.calibration.table) if plan.calibration.table else None


def export_lower(
    first: Artifact,
    layouts: tuple[Layout, Layout],
    out: Path,
    plan: ExportPlan,
    family: str = "",
    given: CalibrationTable | None = None,
) -> list[Exported]:
    """The lower precisions and the engines of a plan, from the FP32 file that lies there.

    Args:
        first: Its sidecar.
        layouts: Training split, to calibrate on, and validation split, to measure on.
        out: Folder of the folders.
        plan: What is wanted.
        family: TensorRT family of the engines.
        given: A table that was loaded already.
    """
    source = out / "fp32" / "model.onnx"
    _remove_stale(out, first)
    exported: list[Exported] = []
    lower = wanted(plan.precisions, {*plan.targets, TENSORRT} if plan.engine else plan.targets)
    if lower:
        images = calibration_set(layouts[0], plan.calibration.images, first.size, plan.calibration.seed)
        judge = Judge(source, images, layouts[1], plan.score_images)
        table = _table(source, images, plan.calibration, given) if any(one.kind.quantised for one in lower) else None
        exported += [_reduced(judge, one, out / one.folder, table, plan) for one in lower]
    if plan.engine is not None:
        made = [Exported(source, first), *exported]
        sources = [one.file for one in made if one.artifact.precision in plan.precisions and one.artifact.target != CPU]
        exported += [build(file, engine_folder(file), family, plan.engine) for file in sources]
    return exported


def _remove_stale(out: Path, first: Artifact) -> None:
    """Remove what was made of an earlier FP32 export, so that no benchmark mixes two checkpoints."""
    for one in wanted(LOWER, TARGETS):
        source = out / one.folder
        if (source / "model.json").is_file() and Artifact.load(source).source_sha256 != first.source_sha256:
            note(f"Removing {source}: it was made of another checkpoint")
            for folder in (source, engine_folder(source / "model.onnx")):
                shutil.rmtree(folder, ignore_errors=True)


def _table(source: Path, images: CalibrationSet, how: Calibration, given: CalibrationTable | None) -> CalibrationTable:
    if given is None:
        return calibrate(source, images, how.method)
    given.require(load_artifact(source).sha256, str(how.table))
    return given


def _reduced(judge: Judge, one: Wanted, out: Path, table: CalibrationTable | None, plan: ExportPlan) -> Exported:
    ranges: dict[str, Any] = {"table": table, "weight_bits": plan.calibration.weight_bits} if one.kind.quantised else {}
    reduced = reduce_model(judge, one, out, budget=plan.budget, rank=plan.rank, **ranges)
    return Exported(out / "model.onnx", reduced.artifact, reduced)


def build(onnx_file: Path, out: Path, family: str, options: BuildOptions) -> Exported:
    """Build an engine of an exported model, after our own check of its graph."""
    require_tensorrt(load_graph(onnx_file), str(onnx_file))
    note(f"Building {out / 'model.engine'} with {family}")
    with progress(family) as update:
        artifact = write_engine(onnx_file, out, family, options, lambda phase, done, total: update(done, total, phase))
    for sentence in artifact.engine["notes"]:
        note(f"{out / 'model.engine'}: {sentence}")
    return Exported(out / "model.engine", artifact)
