"""`edgekd report`."""

from pathlib import Path

import click

from edgekd.cli.options import next_command


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("report.html"), show_default=True, help="Page to write.")
@click.option("--picture", type=click.Path(path_type=Path), help="Also write the Pareto plot as .svg, for a README.")
@click.option("--title", default="edgekd report", show_default=True, help="Of the page.")
def command(results: tuple[Path, ...], out: Path, picture: Path | None, title: str) -> None:
    """One offline HTML page from the JSON files that `edgekd bench` wrote."""
    from edgekd.report.page import write_report
    from edgekd.report.pareto import write_picture
    from edgekd_runtime.measurement import load_results

    measured = [one for path in results for one in load_results(path)]
    write_report(measured, out, title=title)
    if picture is not None:
        write_picture(measured, picture)
    click.echo(f"{out}: {len(measured)} measurements")
    next_command(f"open {out} in a browser")
