"""`edgekd bundle`."""

from pathlib import Path

import click

from edgekd.cli.options import next_command


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="File to write, e.g. student.pyz.")
@click.option(
    "--precision", metavar="LIST", help="Precisions to include, separated by commas: fp32, fp16, bf16, int8, int8-fp16; all by default."
)
@click.option("--images", type=click.IntRange(min=1), help="Include N validation images, so that the device can measure mIoU.")
@click.option("--data-root", help="Folder of the data set, if it has moved.")
def command(run: Path, out: Path, precision: str | None, images: int | None, data_root: str | None) -> None:
    """Write RUN's exported models and the runtime that a device needs for them as one file.

    RUN is a run, a folder of exported models, or a model.onnx. On the device:
    python3 student.pyz check | build | bench | predict | demo
    """
    from edgekd.device import write_bundle

    made = write_bundle([run], out, precisions=precision.split(",") if precision else (), images=images or 0, data_root=data_root)
    click.echo(f"{out}: {', '.join(made.models)}, {out.stat().st_size / 1e6:.1f} MB")
    if made.images:
        click.echo(f"{made.images} images of {made.data} with their labels are inside: who gets the file gets that data too.")
    next_command("python3", out, "bench")
