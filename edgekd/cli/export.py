"""`edgekd export`."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from edgekd.cli import complete
from edgekd.cli.options import Number, json_option, next_command, option_group, print_json, size_option
from edgekd.export.precision import PRECISIONS, TARGETS
from edgekd_runtime.errors import UsageError

model_options = option_group(
    click.option("--imgsz", metavar="HxW", help="Network input; the recipe's by default."),
    click.option(
        "--output",
        type=click.Choice(["classes", "logits"]),
        default="classes",
        show_default=True,
        help="Output of the graph: class map (uint8) or logits.",
    ),
    click.option(
        "--max-batch",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Largest batch size; above 1 the batch dimension is dynamic.",
    ),
    click.option("--data-root", help="Folder of the data set, if it has moved."),
)
parity_options = option_group(
    click.option(
        "--parity-images",
        type=click.IntRange(min=1),
        default=32,
        show_default=True,
        help="Number of validation images to compare with PyTorch on.",
    ),
    click.option(
        "--min-agreement",
        type=Number(0, 1),
        default=0.999,
        show_default=True,
        help="Gate for FP32: smallest share of pixels with PyTorch's class, 0-1; exit 4.",
    ),
    click.option(
        "--max-logit-error",
        type=Number(0),
        default=1e-3,
        show_default=True,
        help="Gate for FP32: largest error of the logits, relative to the largest logit; exit 4.",
    ),
)
precision_options = option_group(
    click.option(
        "--precision",
        default="fp32",
        show_default=True,
        metavar="LIST",
        help=f"Precisions to export, separated by commas: {', '.join(PRECISIONS)}.",
    ),
    click.option(
        "--max-miou-drop",
        type=Number(0),
        metavar="POINTS",
        help="Largest mIoU loss allowed, in points; layers return to FP32 until it fits, exit 4 if none does.",
    ),
    click.option("--sensitivity", is_flag=True, help="Also measure the mIoU loss of each layer alone; written to sensitivity.json."),
    click.option(
        "--min-half-agreement",
        type=Number(0, 1),
        default=0.99,
        show_default=True,
        help="Gate for FP16 and BF16: smallest share of pixels with FP32's class, 0-1; exit 4.",
    ),
    click.option("--score-images", type=click.IntRange(min=1), help="Number of validation images to measure mIoU on; all by default."),
    click.option(
        "--calib-images", type=click.IntRange(min=1), default=64, show_default=True, help="Number of training images for INT8 calibration."
    ),
    click.option(
        "--calib-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed for the choice of calibration images."
    ),
    click.option(
        "--calib-method",
        default="percentile",
        show_default=True,
        shell_complete=complete.calibrations,
        help="INT8 calibration method: minmax, percentile, entropy or mse.",
    ),
    click.option(
        "--calib-table", type=click.Path(path_type=Path), help="Calibration table from `edgekd calib make` to use instead of calibrating."
    ),
    click.option(
        "--target",
        metavar="LIST",
        default="cpu",
        show_default=True,
        help="Targets that INT8 is written for, separated by commas: cpu, tensorrt; --trt adds tensorrt.",
    ),
    click.option(
        "--weight-bits",
        type=click.Choice(["7", "8"]),
        help="Bits of INT8 weights; by default 8 for tensorrt, and 7 for cpu, which avoids saturation on CPUs without VNNI.",
    ),
)
engine_options = option_group(
    click.option("--trt", is_flag=True, help="Build a TensorRT engine of each precision too."),
    click.option(
        "--family", type=click.Choice(["tensorrt", "tensorrt-rtx"]), help="TensorRT library to build with; the installed one by default."
    ),
    click.option(
        "--workspace",
        type=click.IntRange(min=0),
        default=0,
        metavar="MiB",
        help="Workspace memory of the TensorRT builder, MiB; 0 = TensorRT's default.",
    ),
    click.option(
        "--level",
        type=click.IntRange(0, 5),
        default=3,
        show_default=True,
        help="TensorRT builder optimisation level; higher builds longer.",
    ),
    click.option(
        "--timing-cache",
        type=click.Path(path_type=Path),
        help="TensorRT timing cache (.timing); the device's own by default.",
    ),
    click.option("--dla-core", type=click.IntRange(min=0), help="Run on this DLA core of a Jetson, with the GPU for the rest."),
    click.option("--version-compatible", is_flag=True, help="Build an engine that later TensorRT versions run too."),
    click.option("--hardware-compatible", is_flag=True, help="Build an engine that other GPUs from Ampere on run too."),
    click.option("--no-tf32", is_flag=True, help="Build FP32 layers without TF32, which is on by default from Ampere on."),
)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder that gets a folder for each precision; RUN/export by default.")
@model_options
@parity_options
@precision_options
@engine_options
@json_option
def command(run: Path, out: Path | None, as_json: bool, **options: Any) -> None:
    """Write RUN's best weights as model.onnx + model.json, verified on real images; exit 4 if they miss a gate.

    edgekd export runs/student --trt --precision fp32,fp16,int8 --max-miou-drop 0.5
    """
    size_option(options["imgsz"])
    refuse_idle(click.get_current_context(), options)
    from edgekd.data import open_split, open_training
    from edgekd.export.plan import export_all
    from edgekd.parts import moved
    from edgekd.runs import Run, open_run

    plan = plan_from(options)
    recipe = moved(open_run(run).recipe, options["data_root"])
    run = run if run.is_dir() else run.parent
    folder = out or Run(run).export
    exported = export_all(run, recipe, (open_training(recipe), open_split(recipe)), folder, plan)
    if as_json:
        print_json([document(one) for one in exported])
    else:
        show(exported, options["sensitivity"])
    next_command("edgekd", "bench", folder)


def document(one: Any) -> dict[str, Any]:
    """One exported file for --json."""
    ranked = one.reduced.sensitivity if one.reduced is not None else []
    return {"file": str(one.file), **one.artifact.to_json(), "sensitivity": [rank.to_json(one.artifact.score_key) for rank in ranked]}


NEEDS = {
    "--trt": (
        ("family", "workspace", "level", "timing_cache", "dla_core", "version_compatible", "hardware_compatible", "no_tf32"),
        ("trt",),
    ),
    "--precision int8 or int8-fp16": (("calib_method", "calib_table", "target", "weight_bits"), ("int8",)),
    "a lower --precision": (
        ("calib_images", "calib_seed", "score_images", "max_miou_drop", "min_half_agreement", "sensitivity"),
        ("fp16", "bf16", "int8"),
    ),
}
"""What each group of options does nothing without, and the words in the request that it needs."""


def refuse_idle(ctx: click.Context, options: dict[str, Any]) -> None:
    """Refuse an option that would do nothing."""
    asked = options["precision"] + (" trt" if options["trt"] else "")
    for needed, (names, words) in NEEDS.items():
        given = [name for name in names if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE]
        if given and not any(word in asked for word in words):
            raise UsageError(f"--{given[0].replace('_', '-')} does nothing without {needed}.")


def plan_from(options: dict[str, Any]) -> Any:
    """The plan that the options ask for.

    Raises:
        UsageError: If a precision or a method is unknown.
    """
    from edgekd.export.judge import Budget
    from edgekd.export.parity import ParityLimits
    from edgekd.export.plan import Calibration, ExportPlan
    from edgekd_calib.ranges import METHODS
    from edgekd_runtime.nearest import nearest
    from edgekd_runtime.trt.build import BuildOptions

    precisions, targets = (tuple(options[name].split(",")) for name in ("precision", "target"))
    for given, known, what in [
        *((one, PRECISIONS, "--precision") for one in precisions),
        *((one, TARGETS, "--target") for one in targets),
        (options["calib_method"], METHODS, "--calib-method"),
    ]:
        if given not in known:
            raise UsageError(f"{what} has no {given!r}, it takes {', '.join(known)}{nearest(given, known)}")
    engine = BuildOptions(
        workspace_mib=options["workspace"],
        level=options["level"],
        timing_cache=options["timing_cache"],
        max_batch=options["max_batch"],
        dla_core=options["dla_core"],
        version_compatible=options["version_compatible"],
        hardware_compatible=options["hardware_compatible"],
        no_tf32=options["no_tf32"],
    )
    return ExportPlan(
        precisions=precisions,
        targets=targets,
        size=size_option(options["imgsz"]),
        output=options["output"],
        parity_images=options["parity_images"],
        limits=ParityLimits(options["min_agreement"], options["max_logit_error"]),
        budget=Budget(options["min_half_agreement"], options["max_miou_drop"]),
        score_images=options["score_images"],
        rank=options["sensitivity"],
        calibration=Calibration(
            options["calib_images"],
            options["calib_method"],
            options["calib_table"],
            options["calib_seed"],
            int(options["weight_bits"]) if options["weight_bits"] else None,  # type: ignore[arg-type]
        ),
        max_batch=options["max_batch"],
        engine=engine if options["trt"] else None,
        family=options["family"],
    )


def show(exported: list[Any], sensitivity: bool) -> None:
    """Layers first, the table of the files at the end."""
    from edgekd.cli.tables import layer_table
    from edgekd.console import table

    for one in exported:
        precision = one.file.parent.name
        if sensitivity and one.reduced is not None:
            about = one.artifact
            layers = [rank.to_json(about.score_key) for rank in one.reduced.sensitivity]
            layer_table(f"{precision}: each layer alone in it, the noisiest first", layers, about.score_name)
        if one.reduced is not None and one.reduced.kept:
            table(f"{precision}: layers kept higher", ["layer", "why"], [list(item) for item in one.reduced.kept.items()])
    first = exported[0].artifact
    known = next((one.reduced.quality.fp32_miou for one in exported if one.reduced is not None), None)
    table(
        f"{exported[0].file.parents[1]}: {first.model} {first.size[0]}x{first.size[1]}",
        ["file", first.score_name, "lost, points", "MB", "equal pixels %", "kept higher"],
        [_row(one, known) for one in exported],
    )


def _row(one: Any, fp32_score: float | None) -> list[str]:
    parity, reduction, key = one.artifact.parity, one.artifact.reduction, one.artifact.score_key
    score = reduction.get(key, fp32_score)
    return [
        f"{one.file.parent.name}/{one.file.name}",
        f"{100 * score:.2f}" if score is not None else "–",
        f"{100 * (reduction[f'fp32_{key}'] - reduction[key]):+.2f}" if reduction else "–",
        f"{one.file.stat().st_size / 1e6:.1f}",
        f"{100 * reduction.get('agreement', parity['pixel_agreement']):.3f}",
        str(len(reduction["kept"])) if reduction else "–",
    ]
