"""Options that several verbs share, and how they become a recipe."""

import functools
import json
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from edgekd.cli import complete
from edgekd_runtime.decision import MIOU_DROP
from edgekd_runtime.errors import UsageError
from edgekd_runtime.sizes import parse_size

if TYPE_CHECKING:
    from edgekd.config import Recipe

F = TypeVar("F", bound=Callable[..., Any])


def option_group(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in this order."""
    return lambda function: functools.reduce(lambda inner, option: option(inner), reversed(options), function)


class Number(click.FloatRange):
    """A finite number in a range: click's own lets NaN through, which no gate would ever stop."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return float(number)


recipe_options = option_group(
    click.option(
        "--recipe",
        default="camvid",
        show_default=True,
        shell_complete=complete.recipes,
        help="A shipped recipe, a YAML file, or a run folder.",
    ),
    click.option("--data-root", help="Folder of the data set."),
    click.option(
        "--student",
        metavar="SOURCE",
        shell_complete=complete.models,
        help="Network to train: HEAD-BACKBONE, e.g. deeplabv3-resnet18, package.module:function, hf:FOLDER_OR_ID.",
    ),
    click.option("--weights", help="Initial backbone weights of the network to train: timm, or a local ImageNet checkpoint."),
    click.option("--imgsz", metavar="HxW", help="Network input for validation and export, height x width in pixels, e.g. 360x480."),
    click.option("--steps", type=click.IntRange(min=1), help="Optimiser steps."),
    click.option("--batch-size", type=click.IntRange(min=1), help="Images per optimiser step, over all processes."),
    click.option("--seed", type=click.IntRange(min=0), help="Random seed for weights, data order and augmentation."),
    click.option("--devices", type=click.IntRange(min=1), help="Training processes on this machine, usually one per GPU."),
    click.option("--precision", type=click.Choice(["32", "bf16", "16"]), help="Training precision: 32, bf16 or 16 (mixed) bit."),
    click.option("--log", type=click.Choice(["tensorboard", "wandb", "mlflow"]), help="Tracker that records losses and scores."),
    click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any recipe key, e.g. train.lr=0.01. May be repeated."),
)

run_options = option_group(
    click.option("--out", type=click.Path(path_type=Path), help="Run folder."),
    click.option("--resume", is_flag=True, help="Continue the run in --out with its own recipe."),
    click.option("--overwrite", is_flag=True, help="Replace the run in --out."),
)

layout_option = click.option(
    "--option", "layout_options", multiple=True, metavar="KEY=VALUE", help="Option of the layout. May be repeated."
)


def layout_options_from(texts: tuple[str, ...]) -> dict[str, Any]:
    """Keyword arguments of a layout.

    Raises:
        UsageError: If one is not KEY=VALUE.
    """
    from edgekd.loading import assignment

    options: dict[str, Any] = {}
    for text in texts:
        options |= assignment(text, "--option")
    return options


shipped_drop_option = click.option(
    "--max-miou-drop",
    type=Number(0),
    default=MIOU_DROP,
    show_default=True,
    metavar="POINTS",
    help="Largest mIoU loss of the recommended file against the most accurate one of the same model, in points.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def refuse_beside_resume(ctx: click.Context) -> None:
    """A resumed run goes on by its own recipe, so nothing else may be asked of it.

    Raises:
        UsageError: If --out is missing, or another option was given.
    """
    allowed = {"resume", "out", "dump_difficulty"}
    given = [name for name in ctx.params if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE and name not in allowed]
    if ctx.params["out"] is None:
        raise UsageError("--resume needs --out, the run to continue.")
    if given:
        raise UsageError(f"--resume uses the run's own recipe; leave --{given[0].replace('_', '-')} out.")


def size_option(text: str | None) -> tuple[int, int] | None:
    """``HxW`` or nothing."""
    return parse_size(text) if text is not None else None


def three_numbers(flag: str, text: str) -> tuple[float, float, float]:
    """``R,G,B`` → three finite numbers.

    Raises:
        UsageError: If they are not.
    """
    try:
        red, green, blue = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"{flag} takes three numbers R,G,B, e.g. 0.485,0.456,0.406, not {text!r}.") from error
    if not all(map(math.isfinite, (red, green, blue))):
        raise UsageError(f"{flag} takes finite numbers, not {text!r}.")
    return red, green, blue


def recipe_from(options: dict[str, Any], *pieces: dict[str, Any]) -> "Recipe":
    """The recipe that the options of `recipe_options` ask for.

    Args:
        options: As click gives them.
        pieces: Pieces of recipe that come after the file and before the options.
    """
    from edgekd.loading import assignment, load_recipe

    size = size_option(options["imgsz"])
    flags = {
        "data.root": options["data_root"],
        "data.size": list(size) if size else None,
        "student.name": options["student"],
        "student.weights": options["weights"],
        "train.steps": options["steps"],
        "train.batch_size": options["batch_size"],
        "train.seed": options["seed"],
        "train.devices": options["devices"],
        "train.precision": options["precision"],
        "train.log": options["log"],
    }
    overrides = [_nested(key, value) for key, value in flags.items() if value is not None]
    return load_recipe(options["recipe"], [*pieces, *overrides, *(assignment(text) for text in options["assignments"])])


def _nested(key: str, value: Any) -> dict[str, Any]:
    section, name = key.split(".")
    return {section: {name: value}}


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, indent=2))


CARRIED = ("recipe", "data_root", "imgsz", "batch_size", "seed", "devices", "precision")
"""Options of a training that the next command needs too, since they are about the whole recipe and not about one of its networks."""


def carried_options(ctx: click.Context) -> list[str]:
    """What was given of `CARRIED`, as words of a command line."""
    given = [name for name in CARRIED if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE]
    return [word for name in given for word in (f"--{name.replace('_', '-')}", str(ctx.params[name]))]


def next_command(*words: object) -> None:
    """Say on stderr what comes next, so that it can be pasted."""
    click.echo(f"Next: {shlex.join(map(str, words))}", err=True)
