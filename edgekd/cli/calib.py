"""`edgekd calib`."""

from pathlib import Path

import click

from edgekd.cli.options import json_option, next_command, print_json
from edgekd_runtime.errors import UsageError

LOWER_PRECISIONS = ["fp16", "bf16", "int8", "int8-fp16"]


@click.group()
def command() -> None:
    """INT8 calibration tables: make one, look into one, and find the layers that INT8 hurts."""


images_option = click.option("--images", type=click.IntRange(min=1), default=64, show_default=True, help="Class-covering training images.")
root_option = click.option("--data-root", help="Folder of the data set, where it has moved.")


@command.command()
@click.argument("run", type=click.Path(path_type=Path))
@images_option
@click.option("--method", default="percentile", show_default=True, help="minmax, percentile, entropy or mse.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write; RUN/export/calibration.json where absent.")
@root_option
def make(run: Path, images: int, method: str, out: Path | None, data_root: str | None) -> None:
    """Find the INT8 ranges of RUN's FP32 export on its own training images."""
    from edgekd.config import nearest
    from edgekd.export.calibration import calibrate, calibration_set, exported_fp32
    from edgekd.pipeline import moved, open_split, run_recipe
    from edgekd_calib.ranges import METHODS

    if method not in METHODS:
        raise UsageError(f"--method has no {method!r}, it takes {', '.join(METHODS)}{nearest(method, METHODS)}")
    source, artifact = exported_fp32(run)
    recipe = moved(run_recipe(run), data_root)
    table = calibrate(source, calibration_set(open_split(recipe, recipe.data.train), images, artifact.size), method)
    file = out or run / "export" / "calibration.json"
    table.save(file)
    click.echo(f"{file}: {len(table.ranges)} tensors, {method}, {len(table.images)} images")
    next_command(f"edgekd export {run} --precision int8 --calib-table {file}")


@command.command()
@click.argument("table_file", metavar="TABLE", type=click.Path(path_type=Path))
@json_option
def show(table_file: Path, as_json: bool) -> None:
    """What TABLE holds: method, images, and the scale of every tensor, the widest first."""
    from edgekd.console import table
    from edgekd_calib.table import load_table

    found = load_table(table_file)
    if as_json:
        print_json({"method": found.method, "model_sha256": found.model_sha256, "images": found.images, "scales": found.scales})
        return
    widest = sorted(found.ranges.items(), key=lambda item: -item[1])
    rows = [[name, f"{value:.4g}", f"{found.scales[name]:.4g}"] for name, value in widest]
    table(f"{found.method} on {len(found.images)} images, for {found.model_sha256[:12]}", ["tensor", "largest", "scale"], rows)


@command.command()
@click.argument("run", type=click.Path(path_type=Path))
@images_option
@click.option("--precision", type=click.Choice(LOWER_PRECISIONS), default="int8", show_default=True, help="What is tried.")
@click.option("--table", "table_file", type=click.Path(path_type=Path), help="INT8 ranges; calibrated where absent.")
@click.option("--weight-bits", type=click.Choice(["7", "8"]), default="7", show_default=True, help="INT8 weights.")
@root_option
@json_option
def sensitivity(
    run: Path, images: int, precision: str, table_file: Path | None, weight_bits: str, data_root: str | None, as_json: bool
) -> None:
    """Each layer of RUN's FP32 export alone in the lower precision: signal to noise of the scores, and mIoU lost."""
    from dataclasses import asdict

    from edgekd.console import table
    from edgekd.export.calibration import calibrate, calibration_set, exported_fp32
    from edgekd.export.precision import LOWER, lowered_precision, measure_sensitivity
    from edgekd.pipeline import moved, open_split, run_recipe
    from edgekd_calib.graph import load_graph
    from edgekd_calib.table import load_table

    source, artifact = exported_fp32(run)
    recipe = moved(run_recipe(run), data_root)
    chosen = calibration_set(open_split(recipe, recipe.data.train), images, artifact.size)
    ranges = None
    if LOWER[precision].quantised:
        ranges = load_table(table_file) if table_file else calibrate(source, chosen, "percentile")
        ranges.require(artifact.sha256, str(table_file))
    model = load_graph(source)
    lowered = lowered_precision(model, LOWER[precision], ranges, int(weight_bits))  # type: ignore[arg-type]
    found = measure_sensitivity(model, lowered, chosen, len(artifact.classes))
    if as_json:
        print_json([asdict(layer) for layer in found])
        return
    rows = [[layer.name, layer.op, f"{layer.snr_db:.1f}", f"{100 * layer.miou_drop:+.3f}"] for layer in found]
    table(f"{precision}, one layer at a time; the noisiest first", ["layer", "operator", "signal to noise, dB", "mIoU lost, points"], rows)
