"""`edgekd data`."""

from pathlib import Path

import click

from edgekd.cli.options import json_option, layout_option, layout_options_from, print_json
from edgekd_runtime.errors import EdgeKDError


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
@click.argument("layout")
@click.argument("root", required=False)
@click.option("--split", default="train", show_default=True, help="Data split.")
@layout_option
@json_option
def check(layout: str, root: str | None, split: str, layout_options: tuple[str, ...], as_json: bool) -> None:
    """Read every image and mask of a split and name each fault.

    A missing partner, a mask of another size, an unknown label value, a damaged file, an empty class.
    Files that have not changed since the last check are not read again.
    """
    from edgekd.console import progress
    from edgekd.data.check import check_layout

    with progress("check") as update:
        report = check_layout(layout, split, root, update, layout_options_from(layout_options))
    if as_json:
        print_json(report.to_json())
    else:
        report.show()
    if report.faults:
        count = f"{len(report.faults)} fault{'s' * (len(report.faults) != 1)}"
        raise EdgeKDError(f"{count} in {report.images} images of {root or layout}, split {split}; the first: {report.faults[0]}")


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
