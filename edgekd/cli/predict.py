"""`edgekd predict`."""

from pathlib import Path

import click

from edgekd.cli.options import Number, json_option, print_json


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option("--model", required=True, type=click.Path(path_type=Path), help="Exported model, the folder that holds it, or a run.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the masks, NAME.png at each image's own size.")
@click.option(
    "--form",
    type=click.Choice(["index", "palette"]),
    default="index",
    show_default=True,
    help="Pixel values of the masks: class numbers, or the classes' colours.",
)
@click.option("--overlay", is_flag=True, help="Write NAME_overlay.jpg too: the classes painted over the image.")
@click.option("--opacity", type=Number(0, 1), default=0.5, show_default=True, help="Opacity of the overlay's colours, from 0 to 1.")
@click.option("--backend", help="Backend that runs the model; the file's usual one by default.")
@click.option("--threads", type=click.IntRange(min=0), default=0, show_default=True, help="CPU threads; 0 = the backend's default.")
@json_option
def command(
    paths: tuple[str, ...],
    model: Path,
    out: Path,
    form: str,
    overlay: bool,
    opacity: float,
    backend: str | None,
    threads: int,
    as_json: bool,
) -> None:
    """Write the class maps of images: files, folders, or quoted patterns such as 'frames/*.png'.

    edgekd predict photos/ --model runs/student/export/fp32 --out masks --overlay
    """
    from edgekd.console import progress
    from edgekd.measure.pytorch import open_model
    from edgekd_runtime.predict import image_files, predict

    files = image_files(paths)
    with open_model(model, backend, threads) as session, progress("predict") as update:
        done = predict(session, files, out, form=form, overlays=overlay, opacity=opacity, progress=update)
    if as_json:
        print_json([one.to_json() for one in done])
    else:
        click.echo(f"{len(done)} masks in {out}")
