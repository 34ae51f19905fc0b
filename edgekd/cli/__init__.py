"""The command line: one file a verb, loaded when it is called, so that `--help` never waits for PyTorch."""

import importlib
import sys
from typing import Any

import click

from edgekd_runtime import __version__
from edgekd_runtime.errors import EdgeKDError, StoppedError
from edgekd_runtime.signals import ended_as_by_ctrl_c

VERBS = {
    "quickstart": "The whole chain on drawn streets: teacher, students, export, benchmark, video, report.",
    "data": "List layouts, check a data set, write a contact sheet.",
    "train": "Train a teacher, or the student alone.",
    "distill": "Train a student under a teacher.",
    "eval": "mIoU of a run or an exported model.",
    "export": "Write model.onnx in any precision, proved on real images; TensorRT engines.",
    "adopt": "Make somebody's ONNX file a model of this project, in any precision.",
    "calib": "INT8 calibration tables and layer sensitivity.",
    "bench": "Latency, memory, power and mIoU of exported models, here or on a device.",
    "bundle": "One file that a device runs: models and runtime.",
    "report": "One HTML page from benchmark results.",
    "predict": "Class maps of images as PNG files.",
    "demo": "Overlay video from a video, camera or stream; live in the browser.",
    "inspect": "What is in a model.onnx or model.engine.",
    "check": "What can run here, and what is missing.",
    "recipes": "Recipes that ship, and one with every key resolved.",
    "models": "Heads, backbones, and what a model costs.",
    "methods": "Distillation methods and what they need.",
}


class Failure(click.ClickException):
    """An `EdgeKDError` on its way out: its sentence and its exit code."""

    def __init__(self, error: EdgeKDError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance


class Verbs(click.Group):
    """Loads `edgekd.cli.VERB` when a verb is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        return importlib.import_module(f"edgekd.cli.{name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        if args and args[0] not in VERBS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], VERBS, n=1)
            ctx.fail(f"No command {args[0]!r}." + (f" Did you mean {close[0]!r}?" if close else " `edgekd --help` lists them."))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with ended_as_by_ctrl_c():
                return super().invoke(ctx)
        except EdgeKDError as error:
            raise Failure(error) from error
        except KeyboardInterrupt as error:
            raise Failure(StoppedError("Stopped.")) from error


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="edgekd")
def main() -> None:
    """Distil a light segmentation student, export it, prove its latency and mIoU on the device, run it on video.

    Start with: edgekd quickstart
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 must not end a run
