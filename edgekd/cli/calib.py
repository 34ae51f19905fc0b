"""`edgekd calib`."""

from pathlib import Path

import click

from edgekd.cli import complete
from edgekd.cli.options import json_option, next_command, print_json
from edgekd.export.precision import LOWER, TARGETS, Wanted
from edgekd_runtime.errors import UsageError


@click.group()
def command() -> None:
    """INT8 calibration tables: make one, look into one, and find the layers that INT8 hurts."""


images_option = click.option(
    "--images", type=click.IntRange(min=1), default=64, show_default=True, help="Number of training images, chosen to cover all classes."
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed for the choice of calibration images."
)
root_option = click.option("--data-root", help="Folder of the data set, if it has moved.")


@command.command()
@click.argument("run", type=click.Path(path_type=Path))
@images_option
@seed_option
@click.option(
    "--method",
    default="percentile",
    show_default=True,
    shell_complete=complete.calibrations,
    help="INT8 calibration method: minmax, percentile, entropy or mse.",
)
@click.option("--out", type=click.Path(path_type=Path), help="File to write; RUN/export/calibration.json by default.")
@root_option
def make(run: Path, images: int, seed: int, method: str, out: Path | None, data_root: str | None) -> None:
    """Find the INT8 ranges of RUN's FP32 export on its own training images."""
    from edgekd.data import open_training
    from edgekd.export.calibration import calibrate, calibration_set, exported_fp32
    from edgekd.parts import moved
    from edgekd.runs import Run, open_run
    from edgekd_calib.ranges import METHODS
    from edgekd_runtime.nearest import nearest

    if method not in METHODS:
        raise UsageError(f"--method has no {method!r}, it takes {', '.join(METHODS)}{nearest(method, METHODS)}")
    source, artifact = exported_fp32(run)
    recipe = moved(open_run(run).recipe, data_root)
    table = calibrate(source, calibration_set(open_training(recipe), images, artifact.size, seed), method)
    file = out or Run(run).calibration
    table.save(file)
    click.echo(f"{file}: {len(table.ranges)} tensors, {method}, {len(table.images)} images")
    next_command("edgekd", "export", run, "--precision", "int8", "--calib-table", file)


@command.command()
@click.argument("table_file", metavar="TABLE", type=click.Path(path_type=Path))
@json_option
def show(table_file: Path, as_json: bool) -> None:
    """What TABLE holds: method, seed, images, and the range of every tensor, the widest first."""
    from dataclasses import asdict

    from edgekd.console import table
    from edgekd_calib.table import load_table

    found = load_table(table_file)
    if as_json:
        print_json(asdict(found) | {"scales": found.scales})
        return
    widest = sorted(found.scales, key=lambda name: -found.scales[name])
    rows = [[name, *(f"{value:.4g}" for value in (*found.ranges[name], found.scales[name]))] for name in widest]
    title = f"{found.method} on {len(found.images)} images of seed {found.seed}, for {found.model_sha256[:12]}"
    table(title, ["tensor", "lowest", "highest", "scale for TensorRT"], rows)


@command.command()
@click.argument("run", type=click.Path(path_type=Path))
@images_option
@seed_option
@click.option("--precision", type=click.Choice(list(LOWER)), default="int8", show_default=True, help="What is tried.")
@click.option("--table", "table_file", type=click.Path(path_type=Path), help="INT8 ranges; calibrated by default.")
@click.option("--target", type=click.Choice(TARGETS), help="What INT8 is for: its form differs. The precision's usual one otherwise.")
@click.option("--weight-bits", type=click.Choice(["7", "8"]), help="INT8 weights; 7 for cpu and 8 for tensorrt otherwise.")
@root_option
@json_option
def sensitivity(
    run: Path,
    images: int,
    seed: int,
    precision: str,
    table_file: Path | None,
    target: str | None,
    weight_bits: str | None,
    data_root: str | None,
    as_json: bool,
) -> None:
    """Each layer of RUN's FP32 export alone in the lower precision: signal to noise of the scores, and mIoU lost."""
    if table_file is not None and not LOWER[precision].quantised:
        raise UsageError(f"--table does nothing for {precision}, only for INT8.")
    wanted = Wanted(precision, target or LOWER[precision].targets[0])
    if wanted.target not in wanted.kind.targets:
        raise UsageError(f"--target {target} is none of {precision}: leave it out.")
    from edgekd.cli.tables import layer_table
    from edgekd.data import open_training
    from edgekd.export.calibration import calibrate, calibration_set, exported_fp32
    from edgekd.export.lowered import lowered_precision
    from edgekd.export.search import measure_sensitivity
    from edgekd.parts import moved
    from edgekd.runs import open_run
    from edgekd_calib.graph import load_graph
    from edgekd_calib.table import load_table

    source, artifact = exported_fp32(run)
    recipe = moved(open_run(run).recipe, data_root)
    ranges = load_table(table_file) if table_file else None
    if ranges is not None:
        ranges.require(artifact.sha256, str(table_file))
    chosen = calibration_set(open_training(recipe), images, artifact.size, seed)
    if ranges is None and LOWER[precision].quantised:
        ranges = calibrate(source, chosen, "percentile")
    model = load_graph(source)
    lowered = lowered_precision(model, wanted, ranges, int(weight_bits) if weight_bits else None)  # type: ignore[arg-type]
    layers = [layer.to_json(artifact.score_key) for layer in measure_sensitivity(model, lowered, chosen, len(artifact.classes))]
    if as_json:
        print_json(layers)
    else:
        layer_table(f"{precision}, one layer at a time; the noisiest first", layers, artifact.score_name)
