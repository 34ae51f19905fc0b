"""`edgekd bench`."""

from pathlib import Path

import click

from edgekd.cli.options import json_option, next_command, print_json
from edgekd_runtime.errors import UsageError


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--backend", default="onnxruntime-cpu", show_default=True, help="What runs the models.")
@click.option("--threads", type=click.IntRange(min=0), default=0, show_default=True, help="CPU threads; 0 = the backend's default.")
@click.option("--seconds", type=click.FloatRange(min=0.1), default=3.0, show_default=True, help="At least this long a model and stage.")
@click.option("--no-accuracy", is_flag=True, help="Latency only.")
@click.option("--images", type=click.IntRange(min=1), help="Score the first N validation images only.")
@click.option("--data-root", help="Folder of the data set, where it has moved.")
@click.option("--results", type=click.Path(path_type=Path), help="JSON file to write; bench.json beside the first model otherwise.")
@json_option
def command(
    models: tuple[Path, ...],
    backend: str,
    threads: int,
    seconds: float,
    no_accuracy: bool,
    images: int | None,
    data_root: str | None,
    results: Path | None,
    as_json: bool,
) -> None:
    """Latency and mIoU of the same files: exported models, or folders that hold some."""
    from edgekd.bench import bench_models, show
    from edgekd_runtime.artifact import find_models
    from edgekd_runtime.latency import Timing
    from edgekd_runtime.measurement import save_results

    if images is not None and no_accuracy:
        raise UsageError("--images and --no-accuracy exclude each other.")
    files = [file for path in models for file in find_models(path)]
    measured = bench_models(
        files, Timing(seconds=seconds), backend=backend, threads=threads, accuracy=not no_accuracy, limit=images, root=data_root
    )
    target = results or (models[0] if models[0].is_dir() else models[0].parent) / "bench.json"
    save_results(target, measured)
    if as_json:
        print_json([one.to_json() for one in measured])
    else:
        show(measured)
    next_command(f"edgekd report {target}")
