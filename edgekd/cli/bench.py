"""`edgekd bench`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd.cli.options import Number, json_option, next_command, print_json, shipped_drop_option
from edgekd_runtime.decision import MIOU_DROP
from edgekd_runtime.errors import EdgeKDError, GateError, UsageError

if TYPE_CHECKING:
    from edgekd_runtime.cases import Case


def _numbers(least: int) -> Callable[[click.Context, click.Parameter, str], tuple[int, ...]]:
    """``1,2`` → (1, 2), each at least `least`."""

    def convert(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
        parts = value.split(",")
        if not all(part.isdecimal() and int(part) >= least for part in parts):
            raise click.BadParameter(f"{value!r} is not a list of whole numbers from {least} on, e.g. 1,2.")
        return tuple(dict.fromkeys(int(part) for part in parts))

    return convert


def _names(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """``a,b`` and ``c`` → (a, b, c)."""
    return tuple(dict.fromkeys(name for value in values for name in value.split(",")))


@click.command()
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--backend",
    "backends",
    metavar="NAME[,NAME]",
    multiple=True,
    callback=_names,
    help="Backends to measure; torch and torch-compile run a run's weights. By default all installed ones that suit the file.",
)
@click.option(
    "--threads",
    metavar="N[,N]",
    callback=_numbers(0),
    default="0",
    show_default=True,
    help="Numbers of CPU threads to measure with; 0 = the backend's default.",
)
@click.option(
    "--batch",
    metavar="N[,N]",
    callback=_numbers(1),
    default="1",
    show_default=True,
    help="Batch sizes to measure with; above 1 needs export --max-batch.",
)
@click.option(
    "--seconds", type=Number(0.1, 3600), default=3.0, show_default=True, help="Minimum measuring time per model and stage, seconds."
)
@click.option("--no-accuracy", is_flag=True, help="Measure latency only, no mIoU.")
@click.option(
    "--images", type=click.IntRange(min=1), help="Measure mIoU on N images, spread over the split; with --device, they are sent there."
)
@click.option("--data-root", help="Folder of the data set, if it has moved.")
@click.option("--device", metavar="URL", help="Measure there: ssh://[USER@]HOST[:PORT], with your own OpenSSH configuration.")
@click.option("--trt", is_flag=True, help="With --device: build TensorRT engines there and measure them too.")
@click.option(
    "--power", metavar="SOURCE", help="Measure energy per image, joules: tegrastats, nvml, rapl, or auto for the first that works."
)
@click.option("--idle-seconds", type=Number(0.2, 3600), help="Measure the power at rest for this long first, seconds, and subtract it.")
@click.option(
    "--no-tf32", is_flag=True, help="GPU: disable TF32 in FP32 models, which is on by default; engines keep what they were built with."
)
@click.option("--max-latency-ms", type=Number(min=0, min_open=True), help="Gate: largest median latency of the network, ms; exit 4.")
@shipped_drop_option
@click.option("--min-miou", type=Number(0, 100), metavar="POINTS", help="Gate: smallest mIoU, percent; exit 4.")
@click.option(
    "--results", type=click.Path(path_type=Path, dir_okay=False), help="JSON file to write; bench.json beside the first model by default."
)
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Also write the table to this file as Markdown.")
@json_option
def command(
    models: tuple[Path, ...],
    backends: tuple[str, ...],
    threads: tuple[int, ...],
    batch: tuple[int, ...],
    seconds: float,
    no_accuracy: bool,
    images: int | None,
    data_root: str | None,
    device: str | None,
    trt: bool,
    power: str | None,
    idle_seconds: float | None,
    no_tf32: bool,
    max_latency_ms: float | None,
    max_miou_drop: float,
    min_miou: float | None,
    results: Path | None,
    markdown: Path | None,
    as_json: bool,
) -> None:
    """Measure latency, memory, power and mIoU of the same files: exported models, folders that hold some, or runs.

    For a run its exported models are measured, or its weights in PyTorch if --backend names torch or nothing was exported yet.
    """
    from edgekd.device import DeviceOptions, bench_on_device
    from edgekd.measure.benchmark import advice, bench_models, missed_gates, show
    from edgekd.measure.pytorch import model_files, register_torch
    from edgekd.report.columns import write_markdown
    from edgekd_runtime import tf32
    from edgekd_runtime.cli.bench import NOT_MEASURED
    from edgekd_runtime.decision import decisions
    from edgekd_runtime.latency import Timing
    from edgekd_runtime.measurement import save_results

    for name, given in (("--images", images), ("--min-miou", min_miou), ("--data-root", data_root)):
        if given is not None and no_accuracy:
            raise UsageError(f"{name} and --no-accuracy exclude each other.")
        if given is not None and device and not images:
            raise UsageError(f"{name} with --device needs --images N: as many labelled images go there, to score the models on.")
    if idle_seconds and not power:
        raise UsageError("--idle-seconds needs --power, the source that is read.")
    if trt and not device:
        raise UsageError("--trt builds engines on the machine of --device; here, `edgekd export RUN --trt` does.")
    if no_tf32:
        tf32.switch_off()
    register_torch()
    target = results or (models[0] if models[0].is_dir() else models[0].parent) / "bench.json"
    failures: list[EdgeKDError] = []

    def failed(case: "Case", error: EdgeKDError) -> None:
        failures.append(error)
        click.echo(f"{NOT_MEASURED}{error}", err=True)

    if device:
        there = DeviceOptions(backends, threads, batch, seconds, power, idle_seconds or 0.0, trt, images or 0, data_root, no_tf32)
        measured, failures = bench_on_device(device, models, there)
    else:
        measured = bench_models(
            model_files(models, backends),
            Timing(seconds=seconds),
            backends=backends,
            threads=threads,
            batches=batch,
            accuracy=not no_accuracy,
            limit=images,
            root=data_root,
            power=power,
            idle_s=idle_seconds or 0.0,
            failed=failed,
        )
        if not measured:
            raise failures[0]
    if as_json:
        print_json([one.to_json() for one in measured])
    else:
        show(measured)  # before anything is written: a full disk must not take along what was measured
        for sentence in [*advice(measured), *decisions(measured, max_miou_drop)]:
            click.echo(sentence)
    save_results(target, measured)
    if markdown:
        write_markdown(markdown, measured)
    if missed := missed_gates(measured, max_latency_ms, min_miou):
        raise GateError("\n".join(missed))
    if failures:
        raise EdgeKDError(f"{len(failures)} could not be measured, see above; the others are in {target}.")
    gate = ["--max-latency-ms", f"{max_latency_ms:g}"] if max_latency_ms else []
    budget = ["--max-miou-drop", f"{max_miou_drop:g}"] if max_miou_drop != MIOU_DROP else []
    next_command("edgekd", "report", target, *gate, *budget)
