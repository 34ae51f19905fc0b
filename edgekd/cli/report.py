"""`edgekd report`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd_runtime.errors import UsageError

if TYPE_CHECKING:
    from edgekd.report import SampleRow
    from edgekd_runtime.measurement import Measurement


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="Page to write.")
@click.option("--picture", type=click.Path(path_type=Path), help="Also write the Pareto plot as .svg or .png, for a README.")
@click.option("--samples", type=click.IntRange(min=1), metavar="N", help="Show N validation images, their labels and what each file says.")
@click.option("--data-root", help="With --samples: folder of the data set, where it has moved.")
@click.option("--title", default="edgekd report", show_default=True, help="Of the page.")
def command(results: tuple[Path, ...], out: Path, picture: Path | None, samples: int | None, data_root: str | None, title: str) -> None:
    """One offline HTML page from the JSON files that `edgekd bench` wrote."""
    from edgekd.report.page import write_report
    from edgekd.report.standalone import write_picture
    from edgekd_runtime.measurement import load_results

    if data_root is not None and samples is None:
        raise UsageError("--data-root is for --samples; the figures need no data.")
    measured = [one for path in results for one in load_results(path)]
    shown = _samples(measured, samples, data_root) if samples and measured else ()  # of none, the page says so
    write_report(measured, out, samples=shown, title=title)
    if picture is not None:
        write_picture(measured, picture)
    click.echo(f"{out}: {len(measured)} measurements")
    click.echo(f"Next: open {out} in a browser.", err=True)


def _samples(measured: "list[Measurement]", count: int, root: str | None) -> Sequence["SampleRow"]:
    from edgekd.measure.samples import measured_samples  # it brings PyTorch, which the page alone does not need

    return measured_samples(measured, count, root)
