"""`edgekd export`."""

from pathlib import Path

import click

from edgekd.cli.options import json_option, next_command, print_json, size_option


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write; RUN/export/fp32 where absent.")
@click.option("--imgsz", metavar="HxW", help="Network input; the recipe's where absent.")
@click.option("--output", type=click.Choice(["classes", "logits"]), default="classes", show_default=True, help="Class map or scores.")
@click.option("--data-root", help="Folder of the data set, where it has moved.")
@click.option("--parity-images", type=click.IntRange(min=1), default=32, show_default=True, help="Validation images to compare on.")
@click.option("--min-agreement", type=click.FloatRange(0, 1), default=0.999, show_default=True, help="Least share of equal pixels.")
@click.option("--max-logit-error", type=click.FloatRange(0), default=1e-3, show_default=True, help="Largest error over largest logit.")
@json_option
def command(
    run: Path,
    out: Path | None,
    imgsz: str | None,
    output: str,
    data_root: str | None,
    parity_images: int,
    min_agreement: float,
    max_logit_error: float,
    as_json: bool,
) -> None:
    """Write RUN's best weights as model.onnx + model.json, after comparing them with PyTorch on real images. Exit 4 if they differ."""
    size = size_option(imgsz)
    from dataclasses import asdict

    from edgekd.export.onnx import export_run
    from edgekd.export.parity import ParityLimits
    from edgekd.pipeline import open_split, run_recipe

    run = run if run.is_dir() else run.parent
    recipe = run_recipe(run)
    if data_root:
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"root": data_root})})
    folder = out or run / "export" / "fp32"
    limits = ParityLimits(min_agreement, max_logit_error)
    artifact = export_run(run, recipe, open_split(recipe), folder, size=size, output=output, images=parity_images, limits=limits)  # type: ignore[arg-type]
    if as_json:
        print_json({"file": str(folder / "model.onnx"), **asdict(artifact)})
        return
    parity = artifact.parity
    click.echo(
        f"{folder / 'model.onnx'}: {artifact.model} {artifact.size[0]}x{artifact.size[1]}, "
        f"{(folder / 'model.onnx').stat().st_size / 1e6:.1f} MB; "
        f"equal to PyTorch on {100 * parity['pixel_agreement']:.3f} % of the pixels of {parity['images']} images, "
        f"logit error {parity['logit_error']:.1e}"
    )
    next_command(f"edgekd bench {folder.parent}")
