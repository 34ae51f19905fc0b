"""`edgekd data`."""

from pathlib import Path

import click

from edgekd.cli import complete
from edgekd.cli.options import json_option, layout_option, layout_options_from, print_json
from edgekd_runtime.errors import EdgeKDError, UsageError


@click.group()
def command() -> None:
    """List layouts, check a data set or unlabelled images, write a contact sheet."""


@command.command()
@json_option
def layouts(as_json: bool) -> None:
    """The data layouts and the tree that each expects."""
    from edgekd.data import LAYOUTS, layout_class

    found = {name: layout_class(name) for name in LAYOUTS}
    if as_json:
        print_json({name: {"title": kind.title, "tree": kind.tree} for name, kind in found.items()})
        return
    for name, kind in found.items():
        click.echo(f"{name}\n    {kind.title}\n    {kind.tree}")


@command.command()
@click.argument("layout", required=False)
@click.argument("root", required=False)
@click.option("--split", help="Data split; train by default, and with --recipe its training and validation split.")
@layout_option
@click.option(
    "--recipe",
    shell_complete=complete.recipes,
    help="Shipped recipe, YAML file or run folder instead of LAYOUT: its splits, and its unlabelled images and videos.",
)
@click.option("--data-root", help="Folder of the recipe's data set.")
@json_option
def check(
    layout: str | None,
    root: str | None,
    split: str | None,
    layout_options: tuple[str, ...],
    recipe: str | None,
    data_root: str | None,
    as_json: bool,
) -> None:
    """Read every image and mask, and name each fault: of a split of LAYOUT, or of all that a recipe reads.

    A missing partner, a mask of another size, an unknown label value, a damaged file, an empty class; of unlabelled images and videos,
    what can't be read or is cut short. Images and masks that have not changed since the last check are not read again.
    """
    from edgekd.config import SMALLEST, DataRecipe
    from edgekd.data.check import check_recipe
    from edgekd.loading import load_recipe, validate

    if (layout is None) == (recipe is None):
        raise UsageError("Give either a LAYOUT, one of `edgekd data layouts`, or --recipe.")
    if recipe is not None:
        if layout_options:
            raise UsageError("With --recipe the layout's options come from the recipe; leave --option out.")
        data = load_recipe(recipe, [{"data": {"root": data_root}}] if data_root else []).data
    else:
        if data_root is not None:
            raise UsageError("--data-root goes with --recipe; with a LAYOUT give the folder as ROOT.")
        given = {"layout": layout, "root": root, "options": layout_options_from(layout_options), "size": [SMALLEST, SMALLEST]}
        data, split = validate(DataRecipe, given, "data check"), split or "train"
    reports = check_recipe(data, [split] if split else [])
    if as_json:
        documents = {name: report.to_json() for name, report in reports.items()}
        print_json(documents if recipe is not None else documents[str(split)])
    else:
        for report in reports.values():
            report.show()
    faults = [fault for report in reports.values() for fault in report.faults]
    if faults:
        count = f"{len(faults)} fault{'s' * (len(faults) != 1)}"
        where = f"what {recipe} reads" if recipe is not None else f"{reports[str(split)].images} images of {root or layout}, split {split}"
        raise EdgeKDError(f"{count} in {where}; the first: {faults[0]}")


@command.command()
@click.argument("layout")
@click.argument("root", required=False)
@click.option("--split", default="train", show_default=True, help="Data split.")
@layout_option
@click.option("--images", type=click.IntRange(1, 100), default=12, show_default=True, help="How many, spread over the split.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("preview.png"), show_default=True, help="Picture to write.")
def preview(layout: str, root: str | None, split: str, layout_options: tuple[str, ...], images: int, out: Path) -> None:
    """Write a contact sheet: images, labels over them, and the legend."""
    from edgekd.data import open_layout
    from edgekd.data.preview import contact_sheet
    from edgekd_runtime.files import write_image

    opened = open_layout(layout, split, root, **layout_options_from(layout_options))
    write_image(out, contact_sheet(opened, images))
    click.echo(f"{out}: {min(images, len(opened))} images of {root or layout}, split {split}")


@command.command()
@click.argument("paths", nargs=-1, required=True)
@json_option
def frames(paths: tuple[str, ...], as_json: bool) -> None:
    """Read every unlabelled image and every frame of the videos at PATHS, and name each fault."""
    from edgekd.console import progress
    from edgekd.data.frames import check_frames

    with progress("check") as update:
        report = check_frames(paths, update)
    if as_json:
        print_json(report.to_json())
    else:
        report.show()
    if report.faults:
        raise EdgeKDError(f"{len(report.faults)} fault{'s' * (len(report.faults) != 1)}; the first: {report.faults[0]}")
