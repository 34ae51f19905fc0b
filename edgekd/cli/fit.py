"""`edgekd fit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekd.cli import complete
from edgekd.cli.options import Number, json_option, next_command, print_json
from edgekd.export.precision import PRECISIONS
from edgekd_runtime.errors import GateError, UsageError
from edgekd_runtime.sizes import parse_size

if TYPE_CHECKING:
    from edgekd.config import Recipe
    from edgekd.fit.choice import Limits, Tried

_SIZE, _CLASSES = "512x1024", 19


@click.command()
@click.option(
    "--candidate",
    "named",
    multiple=True,
    metavar="NAME[,KEY=VALUE]…",
    shell_complete=complete.models,
    help="A student, with output_stride, head_channels or imgsz if need be. May be repeated; 12 from light to heavy by default.",
)
@click.option(
    "--recipe",
    shell_complete=complete.recipes,
    help="Take input size, classes and one more candidate from a shipped recipe, a YAML file, or a run folder.",
)
@click.option("--data-root", help="Folder of the recipe's data set, whose classes are counted.")
@click.option("--imgsz", metavar="HxW[,HxW]", help=f"Network input; every candidate at each. The recipe's, or {_SIZE}.")
@click.option("--num-classes", type=click.IntRange(1, 255), help=f"Classes; those of the recipe's data, or {_CLASSES}.")
@click.option(
    "--precision",
    default="fp32,int8",
    show_default=True,
    metavar="LIST",
    help=f"Precisions to measure, separated by commas: {', '.join(PRECISIONS)}.",
)
@click.option("--max-latency-ms", type=Number(min=0, min_open=True), help="What fits: p50 of the network.")
@click.option("--max-memory-mib", type=Number(min=0, min_open=True), help="What fits: peak memory, beyond an idle Python.")
@click.option("--device", metavar="URL", help="Measure there: ssh://[USER@]HOST[:PORT], with your own OpenSSH configuration.")
@click.option("--trt", is_flag=True, help="With --device: build TensorRT engines there and measure them too.")
@click.option("--backend", "backends", metavar="NAME[,NAME]", help="What runs them; all that are installed and suit by default.")
@click.option("--threads", type=click.IntRange(min=0), default=0, show_default=True, help="CPU threads; 0 = the backend's default.")
@click.option("--seconds", type=Number(0.2, 3600), default=1.0, show_default=True, help="At least this long a file and backend.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("fit"), show_default=True, help="Folder of what is measured.")
@click.option("--overwrite", is_flag=True, help="Measure again what --out holds.")
@json_option
def command(
    named: tuple[str, ...],
    recipe: str | None,
    data_root: str | None,
    imgsz: str | None,
    num_classes: int | None,
    precision: str,
    max_latency_ms: float | None,
    max_memory_mib: float | None,
    device: str | None,
    trt: bool,
    backends: str | None,
    threads: int,
    seconds: float,
    out: Path,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Which student fits a device, before any training: candidates are built untrained, exported and measured; ends with a recipe.

    A run that was stopped goes on with the same command. Exit 4 if nothing fits.

    edgekd fit --recipe my.yaml --max-latency-ms 20 --device ssh://jetson
    """
    if trt and device is None:
        raise UsageError("--trt builds engines on the machine of --device; here, `edgekd export RUN --trt` does.")
    if data_root is not None and recipe is None:
        raise UsageError("--data-root belongs to --recipe, which is not given.")
    precisions = _precisions(precision)
    sizes = [parse_size(text) for text in imgsz.split(",")] if imgsz else []
    from edgekd.console import note, progress
    from edgekd.fit import lines, table
    from edgekd.fit.candidate import candidates, labels
    from edgekd.fit.choice import Limits, best
    from edgekd.fit.page import PAGE, write_page
    from edgekd.fit.records import Records
    from edgekd.fit.sweep import Fit, Plan
    from edgekd.loading import load_recipe
    from edgekd_runtime.files import write_json, write_text

    base = load_recipe(recipe or lines.BASE)
    if num_classes is None:
        num_classes = _classes(base, data_root) if recipe else _CLASSES
    found = candidates(named, sizes or ([base.data.size] if recipe else [parse_size(_SIZE)]), base.student if recipe else None)
    capacities = []
    with progress("candidates") as update:
        for one, label in zip(found, labels(found), strict=True):
            capacities.append(one.capacity(num_classes))
            update(len(capacities), len(found), label)
    plan = Plan(precisions, device, tuple(backends.split(",")) if backends else (), threads, seconds, trt)
    records = Records(out, num_classes, plan.conditions())
    if overwrite:
        records.clear()
    limits = Limits(max_latency_ms, max_memory_mib)
    tried = Fit(found, capacities, plan, records).run()
    chosen = best(tried, limits)
    text = lines.recipe_lines(chosen.candidate, recipe or lines.BASE, base) if chosen else ""
    document = _document(tried, limits, chosen, text)
    if as_json:
        print_json(document)
    else:
        table.show(tried, precisions, limits, device)
        for sentence in table.sentences(tried, limits):
            click.echo(sentence)
    write_json(out / "fit.json", document)
    write_page(tried, limits, table.about(tried, device), text, out)
    if chosen is None:
        raise GateError(table.nothing(tried, limits))
    if not as_json:
        click.echo(f"\n{text}", nl=False)
    write_text(lines.lines_file(out), text)
    note(f"The recipe is in {lines.lines_file(out)}, the page in {out / PAGE}.")
    next_command("edgekd", "distill", "--recipe", lines.lines_file(out), *(("--data-root", data_root) if data_root else ()))


def _precisions(text: str) -> tuple[str, ...]:
    """The precisions that are asked for, each once.

    Raises:
        UsageError: If one is unknown.
    """
    names = tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in PRECISIONS:
            from edgekd_runtime.nearest import nearest

            raise UsageError(f"--precision has no {name!r}, it takes {', '.join(PRECISIONS)}{nearest(name, PRECISIONS)}")
    return names


def _classes(base: "Recipe", data_root: str | None) -> int:
    """How many classes the data of a recipe has."""
    from edgekd.data import open_split
    from edgekd.parts import moved
    from edgekd_runtime.errors import EdgeKDError

    try:
        return len(open_split(moved(base, data_root)).classes)
    except EdgeKDError as error:
        raise type(error)(f"{str(error).rstrip('.')}; or say --num-classes.") from error


def _document(tried: "list[Tried]", limits: "Limits", chosen: "Tried | None", recipe: str) -> dict[str, Any]:
    """For --json and ``fit.json``."""
    return {
        "schema_version": 1,
        "limits": {"latency_ms": limits.latency_ms, "memory_mib": limits.memory_mib},
        "candidates": [one.to_json(limits) for one in tried],
        "best": chosen.label if chosen else None,
        "recipe": recipe,
    }
