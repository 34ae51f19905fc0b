"""`edgekd adopt`."""

from pathlib import Path
from typing import Any

import click

from edgekd.cli.export import document, engine_options, parity_options, plan_from, precision_options, refuse_idle, show
from edgekd.cli.options import json_option, layout_option, layout_options_from, next_command, print_json, size_option, three_numbers
from edgekd_runtime.errors import UsageError


@click.command()
@click.argument("onnx_file", metavar="NET.ONNX", type=click.Path(path_type=Path))
@click.option("--layout", required=True, help="Data layout that names the classes, as `edgekd data layouts` lists them.")
@click.option("--data-root", help="Folder of the data set.")
@layout_option
@click.option("--imgsz", required=True, metavar="HxW", help="Network input, height x width in pixels.")
@click.option(
    "--mean", default="0.485,0.456,0.406", show_default=True, metavar="R,G,B", help="Mean that the network expects, of RGB in 0-1."
)
@click.option(
    "--std", default="0.229,0.224,0.225", show_default=True, metavar="R,G,B", help="Standard deviation that it expects, likewise."
)
@click.option("--bgr", is_flag=True, help="The network takes blue first; --mean and --std stay in the order R,G,B.")
@click.option("--scores", help="Tensor of the scores 1xCxHxW or of the class map; the first output by default.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder that gets a folder for each precision.")
@parity_options
@precision_options
@engine_options
@json_option
def command(onnx_file: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Convert a foreign ONNX file into a model of this project: normalisation, resize and class map inside, verified against the original.

    edgekd adopt net.onnx --layout camvid --data-root CamVid --imgsz 360x480 --precision fp32,int8 --out adopted
    """
    size = size_option(options["imgsz"])
    mean, std = three_numbers("--mean", options["mean"]), three_numbers("--std", options["std"])
    if min(std) <= 0:
        raise UsageError("--std takes positive numbers.")
    refuse_idle(click.get_current_context(), options)
    from edgekd.data import open_layout
    from edgekd.export.adopt import Foreign, adopt
    from edgekd.export.plan import Exported, export_lower, require_before

    plan = plan_from({**options, "output": "classes", "max_batch": 1})
    family, given = require_before(plan)
    of_layout = layout_options_from(options["layout_options"])
    splits = [open_layout(options["layout"], split, options["data_root"], **of_layout) for split in ("train", "val")]
    root = str(Path(options["data_root"]).resolve()) if options["data_root"] else None
    data = {"layout": options["layout"], "root": root, "split": "val", "options": of_layout}
    foreign = Foreign(onnx_file, size or (0, 0), mean, std, options["bgr"], options["scores"])
    first = adopt(foreign, splits[1], data, out / "fp32", images=plan.parity_images, limits=plan.limits)
    exported = [Exported(out / "fp32" / "model.onnx", first), *export_lower(first, (splits[0], splits[1]), out, plan, family, given)]
    if as_json:
        print_json([document(one) for one in exported])
    else:
        show(exported, options["sensitivity"])
    next_command("edgekd", "bench", out)
