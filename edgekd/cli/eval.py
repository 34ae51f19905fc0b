"""`edgekd eval`."""

from pathlib import Path

import click

from edgekd.cli.options import json_option, print_json, size_option
from edgekd_runtime.errors import UsageError


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--split", help="Data split; the recipe's validation split by default.")
@click.option("--data-root", help="Folder of the data set, if it has moved.")
@click.option("--imgsz", metavar="HxW", help="Network input of a run, height x width in pixels; an exported model has its own.")
@click.option("--native", is_flag=True, help="Runs only: evaluate each image whole at its own size, as the papers do.")
@click.option(
    "--short-side", type=click.IntRange(min=32), help="Runs only: evaluate each image whole, resized to this shorter side, in pixels."
)
@click.option("--window", metavar="HxW", help="Runs only: slide a window over each image at its own size; overlaps average probabilities.")
@click.option("--stride", metavar="HxW", help="With --window: step between windows in pixels; two thirds of the window by default.")
@click.option("--scales", default="1", show_default=True, metavar="S,S,…", help="Runs only: average the probabilities at these scales.")
@click.option("--flip", is_flag=True, help="Runs only: average with the prediction on the mirrored image.")
@click.option("--backend", help="Backend that runs an exported model; the file's usual one by default.")
@json_option
def command(
    model: Path,
    split: str | None,
    data_root: str | None,
    imgsz: str | None,
    native: bool,
    short_side: int | None,
    window: str | None,
    stride: str | None,
    scales: str,
    flip: bool,
    backend: str | None,
    as_json: bool,
) -> None:
    """Measure mIoU, per-class IoU, pixel accuracy and mAcc of MODEL: a run folder, a .safetensors file, or an exported model."""
    from dataclasses import asdict

    from edgekd.console import table
    from edgekd.measure.score import score_model
    from edgekd.train.inference import Inference
    from edgekd_runtime.artifact import score_key

    native = native or short_side is not None or window is not None
    inference = Inference(native, size_option(window), size_option(stride), _numbers(scales), flip, short_side)
    if inference.native and imgsz:
        raise UsageError("--native, --short-side and --window don't resize images to one rectangle; leave --imgsz out.")
    scored = score_model(model, split=split, root=data_root, size=size_option(imgsz), backend=backend, inference=inference)
    if as_json:
        about = {"model": str(model), "split": scored.split, "images": scored.images, "score": scored.name, "inference": asdict(inference)}
        print_json({**about, **scored.accuracy.to_json(score_key(scored.name))})
        return
    title = f"{model} on {scored.split} ({scored.images} images){', PRIVILEGED: shown the label' if scored.privileged else ''}"
    rows = [[name, f"{100 * iou:.2f}"] for name, iou in zip(scored.classes.names, scored.accuracy.iou, strict=True)]
    rows.append([scored.name, f"{100 * scored.accuracy.miou:.2f}"])
    rows.append(["pixel accuracy", f"{100 * scored.accuracy.pixel_accuracy:.2f}"])
    rows.append(["mAcc", f"{100 * scored.accuracy.mean_accuracy:.2f}"])
    table(title, ["class", "IoU %"], rows)


def _numbers(text: str) -> tuple[float, ...]:
    """``0.5,1`` → (0.5, 1.0)."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--scales takes numbers, e.g. 0.75,1,1.25, not {text!r}.") from error
