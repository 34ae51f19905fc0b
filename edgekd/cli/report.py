"""`edgekd report`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd.cli.options import Number, shipped_drop_option
from edgekd_runtime.errors import UsageError

if TYPE_CHECKING:
    from edgekd.report import SampleRow
    from edgekd_runtime.measurement import Measurement


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="HTML page to write.")
@click.option("--picture", type=click.Path(path_type=Path), help="Also write the Pareto plot as .svg or .png, for a README.")
@click.option(
    "--samples", type=click.IntRange(min=1), metavar="N", help="Show N validation images: label, each model's prediction and its errors."
)
@click.option("--data-root", help="With --samples: folder of the data set, if it has moved.")
@click.option("--max-latency-ms", type=Number(min=0, min_open=True), help="Latency target: a line in the plots, rows above it marked; ms.")
@shipped_drop_option
@click.option("--title", default="edgekd report", show_default=True, help="Title of the page.")
def command(
    results: tuple[Path, ...],
    out: Path,
    picture: Path | None,
    samples: int | None,
    data_root: str | None,
    max_latency_ms: float | None,
    max_miou_drop: float,
    title: str,
) -> None:
    """Write one offline HTML page from the JSON files that `edgekd bench` wrote."""
    from edgekd.report.page import write_report
    from edgekd.report.standalone import write_picture
    from edgekd.report.words import plural
    from edgekd_runtime.measurement import load_results

    if data_root is not None and samples is None:
        raise UsageError("--data-root is for --samples; the figures need no data.")
    measured = [one for path in results for one in load_results(path)]
    shown = _samples(measured, samples, data_root) if samples and measured else ()  # of none, the page says so
    write_report(measured, out, samples=shown, title=title, max_latency_ms=max_latency_ms, max_miou_drop=max_miou_drop)
    if picture is not None:
        write_picture(measured, picture, max_latency_ms)
    click.echo(f"{out}: {plural(len(measured), 'measurement')}")
    click.echo(f"Next: open {out} in a browser.", err=True)


def _samples(measured: "list[Measurement]", count: int, root: str | None) -> Sequence["SampleRow"]:
    from edgekd.measure.samples import measured_samples  # it brings PyTorch, which the page alone does not need

    return measured_samples(measured, count, root)
