"""`edgekd eval`."""

from pathlib import Path

import click

from edgekd.cli.options import json_option, print_json, size_option


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--split", help="Data split; the recipe's validation split where absent.")
@click.option("--data-root", help="Folder of the data set, where it has moved.")
@click.option("--imgsz", metavar="HxW", help="Network input of a run; an exported model has its own.")
@click.option("--backend", default="onnxruntime-cpu", show_default=True, help="Of an exported model.")
@json_option
def command(model: Path, split: str | None, data_root: str | None, imgsz: str | None, backend: str, as_json: bool) -> None:
    """mIoU, per-class IoU, pixel accuracy and mAcc of MODEL: a run folder, a .safetensors file, or an exported model.onnx or folder."""
    from edgekd.console import table
    from edgekd.score import score_model

    scored = score_model(model, split=split, root=data_root, size=size_option(imgsz), backend=backend)
    if as_json:
        print_json({"model": str(model), "split": scored.split, "images": scored.images, **scored.accuracy.to_json()})
        return
    title = f"{model} on {scored.split} ({scored.images} images){', PRIVILEGED: shown the label' if scored.privileged else ''}"
    rows = [[name, f"{100 * iou:.2f}"] for name, iou in zip(scored.classes.names, scored.accuracy.iou, strict=True)]
    rows.append(["mIoU", f"{100 * scored.accuracy.miou:.2f}"])
    rows.append(["pixel accuracy", f"{100 * scored.accuracy.pixel_accuracy:.2f}"])
    rows.append(["mAcc", f"{100 * scored.accuracy.mean_accuracy:.2f}"])
    table(title, ["class", "IoU %"], rows)
