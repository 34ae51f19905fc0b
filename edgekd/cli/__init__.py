"""The command line: one file a verb, loaded when it is called, so that `--help` never waits for PyTorch."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from edgekd.builds import one_build
from edgekd_runtime import __version__
from edgekd_runtime.errors import EdgeKDError, StoppedError, UsageError
from edgekd_runtime.nearest import nearest
from edgekd_runtime.signals import ended_as_by_ctrl_c
from edgekd_runtime.streams import end_by, hold_streams, require_utf8
from edgekd_runtime.trt import host_code
from edgekd_runtime.trust import SWITCH, name_by_user, trust_all

VERBS = {
    "quickstart": "The whole chain on drawn streets: teacher, students, export, benchmark, video, report.",
    "data": "List layouts, check a data set, write a contact sheet.",
    "fit": "Which student fits a device, before any training.",
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
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(f"No command {args[0]!r}{nearest(args[0], VERBS) or '; `edgekd --help` lists them.'}")
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        hold_streams()
        words = list(sys.argv[1:] if args is None else args)
        try:
            require_utf8(words)
        except UsageError as error:
            click.echo(f"Error: {error}", err=True)
            sys.exit(error.exit_code)
        name_by_user(words)
        try:
            try:
                return super().main(words, *rest, **options)
            finally:
                sys.stdout.flush()
        except OSError as error:
            sys.exit(end_by(error))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with ended_as_by_ctrl_c(), one_build():
                return super().invoke(ctx)
        except EdgeKDError as error:
            raise Failure(error) from error
        except MemoryError as error:
            raise Failure(EdgeKDError("There is not enough memory for it; use smaller sizes, or fewer at a time.")) from error
        except KeyboardInterrupt as error:
            raise Failure(StoppedError("Stopped.")) from error


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="edgekd")
@click.option("--trust", is_flag=True, help=f"Run code that a run, checkpoint or sidecar names, from wherever it is; also {SWITCH}=1.")
@click.option("--allow-host-code", is_flag=True, help="Load version-compatible engines, which bring code that runs on this machine.")
def main(trust: bool, allow_host_code: bool) -> None:
    """Distil a light segmentation student, export it, prove its latency and mIoU on the device, run it on video.

    Start with: edgekd quickstart
    """
    if trust:
        trust_all()
    if allow_host_code:
        host_code.allow()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without UTF-8 must not end a run
