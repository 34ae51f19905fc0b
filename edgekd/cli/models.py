"""`edgekd models`."""

import click

from edgekd.cli import complete
from edgekd.cli.options import json_option, print_json, size_option
from edgekd_runtime.errors import UsageError


@click.command()
@click.argument("names", nargs=-1, shell_complete=complete.models)
@click.option(
    "--imgsz", metavar="HxW", default="512x1024", show_default=True, help="Input size that the GFLOPs are for, height x width in pixels."
)
@click.option("--num-classes", type=click.IntRange(1, 255), default=19, show_default=True, help="Number of classes.")
@click.option("--max-params", type=click.FloatRange(min=0, min_open=True), metavar="M", help="Largest number of parameters, millions.")
@click.option(
    "--max-macs", type=click.FloatRange(min=0, min_open=True), metavar="G", help="Largest number of multiply-adds per image, 10^9."
)
@click.option(
    "--min-miou",
    type=click.FloatRange(0, 100),
    help="Smallest published Cityscapes mIoU, percent; leaves out models without a published one.",
)
@click.option("--licence", metavar="SPDX", help="Licence of the public code that a model follows, e.g. MIT.")
@click.option("--backbones", metavar="PATTERN", help="List timm's backbones that match, e.g. 'resnet*'.")
@json_option
def command(
    names: tuple[str, ...],
    imgsz: str,
    num_classes: int,
    max_params: float | None,
    max_macs: float | None,
    min_miou: float | None,
    licence: str | None,
    backbones: str | None,
    as_json: bool,
) -> None:
    """List heads and common models, or show parameters, GFLOPs, strides, auxiliary head and published results of the models NAMES."""
    size = size_option(imgsz)
    from edgekd.console import progress, table
    from edgekd.models.cost import HEAD_TITLES, INT8, PRECISIONS, USUAL_MODELS, Wanted, matching_backbones, model_cost

    if backbones:
        if names:
            raise UsageError(f"--backbones lists backbones, and {names[0]} asks for a model's cost; leave one of them out.")
        found = matching_backbones(backbones)
        if as_json:
            print_json(found)
        else:
            click.echo("\n".join(found))
        return
    wanted = Wanted(max_params, max_macs, licence, min_miou)
    costs = []
    with progress("models") as update:
        for name in names or USUAL_MODELS:
            costs.append(model_cost(name, num_classes, size or (512, 1024)))
            update(len(costs), len(names or USUAL_MODELS), name)
    costs = [cost for cost in costs if wanted.fits(cost)]
    if as_json:
        print_json({"heads": HEAD_TITLES, "tensorrt": PRECISIONS, "models": [cost.to_json() for cost in costs]})
        return
    if not names:
        table(
            "Heads (any of them goes with any timm feature backbone)", ["head", "what it is"], [list(item) for item in HEAD_TITLES.items()]
        )
    rows = [
        [
            cost.name,
            f"{cost.parameters_m:.2f}",
            f"{cost.gflops:.1f}",
            str(cost.output_stride),
            str(cost.stride),
            f"{cost.auxiliary_channels or '-'}{'*' if cost.auxiliary_ships else ''}",
            "yes" if cost.dilates else "no",
        ]
        for cost in costs
    ]
    table(
        f"Deployed cost at {imgsz}, {num_classes} classes: million parameters, GFLOPs, output stride, stride of the logits, "
        "channels that the auxiliary head reads (training only; * it ships), whether it dilates",
        ["model", "M", "GFLOPs", "OS", "logits", "aux", "dilates"],
        rows,
    )
    known = [(cost.name, cost.published) for cost in costs if cost.published]
    if known:
        table(
            "Published: Cityscapes mIoU at one scale, millions of parameters, licence of the public code",
            ["model", "mIoU", "M", "images", "input", "licence"],
            [
                [name, f"{it.miou:.1f}", f"{it.parameters_m or '-'}", it.split, f"{it.size[0]}x{it.size[1]}", it.licence]
                for name, it in known
            ],
        )
    click.echo(f"TensorRT builds every one of them in {', '.join(PRECISIONS)};\n{INT8}.")
