"""`edgekd quickstart`."""

import time
from pathlib import Path

import click


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/quickstart"), show_default=True, help="Folder to write to.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed of teacher and students.")
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any key of the recipe `quickstart`. May be repeated.")
def command(out: Path, seed: int, assignments: tuple[str, ...]) -> None:
    """Run the whole chain on synthetic streets: teacher, student alone, student with unlabelled video, export, benchmark, page."""
    from edgekd.console import duration
    from edgekd.loading import assignment, load_recipe
    from edgekd.measure.benchmark import show
    from edgekd.quickstart import quickstart

    begin = time.monotonic()
    recipe = load_recipe("quickstart", [{"train": {"seed": seed}}, *(assignment(text) for text in assignments)])
    result = quickstart(recipe, out)
    show(result.measured)
    scores = {one.artifact.method: one.accuracy.miou for one in result.measured if one.accuracy}
    taught = result.measured[-1].artifact.method
    gain = 100 * (scores[taught] - scores["baseline"])
    click.echo(f"Distilled with unlabelled video ({taught}) against the student alone: {gain:+.2f} mIoU on this seed")
    click.echo(f"Page:  {result.report}\nVideo: {result.video}\nTook {duration(time.monotonic() - begin)}")
    click.echo("Next: your own data; `edgekd data layouts` shows the forms that it may have.", err=True)
