"""`build`, and the engines that `bench --trt` asks for."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from edgekd_runtime.artifact import CPU, Artifact, find_models, load_artifact
from edgekd_runtime.bundle import Bundle
from edgekd_runtime.cli.options import Progress, at_least, models_argument
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.trt.api import FAMILIES, installed_family, use_family
from edgekd_runtime.trt.build import BuildOptions
from edgekd_runtime.trt.cuda import gpu_description, no_gpu_reason
from edgekd_runtime.trt.engine import FOR_TENSORRT, engine_folder, require_fitting_engine, write_engine

HELP = "a TensorRT engine from each model.onnx"


def arguments(parser: argparse.ArgumentParser, bundle: Bundle | None) -> None:
    """Its flags."""
    models_argument(parser, bundle)
    parser.add_argument("--out", type=Path, help="folder to write; beside the model's folder, named after it, by default")
    parser.add_argument("--family", choices=FAMILIES, help="TensorRT library to build with; the installed one by default")
    parser.add_argument(
        "--workspace",
        dest="workspace_mib",
        type=at_least(0),
        default=0,
        metavar="MiB",
        help="workspace memory of the builder; 0 = TensorRT's default",
    )
    parser.add_argument(
        "--level", type=int, default=3, choices=range(6), help="builder optimisation level; higher builds longer; 3 by default"
    )
    parser.add_argument(
        "--timing-cache", type=Path, help="timing cache (.timing); in the user's cache, one per GPU and TensorRT version, by default"
    )
    parser.add_argument("--max-batch", type=at_least(1), default=1, help="largest batch size of a model with a dynamic batch dimension")
    parser.add_argument("--dla-core", type=at_least(0), help="run on this DLA core of a Jetson, with the GPU for the rest")
    parser.add_argument("--version-compatible", action="store_true", help="build an engine that later TensorRT versions run too")
    parser.add_argument("--hardware-compatible", action="store_true", help="build an engine that other GPUs from Ampere on run too")
    parser.add_argument("--no-tf32", action="store_true", help="build FP32 layers without TF32, which is on by default from Ampere on")


def run(given: argparse.Namespace) -> None:
    """Build them and print where they are.

    Raises:
        EdgeKDError: If a model can't be built; the others are, before.
    """
    options = BuildOptions(**{each.name: getattr(given, each.name) for each in fields(BuildOptions)})
    sources = onnx_models(given.models)
    if given.out and len(sources) > 1:
        raise UsageError(f"--out takes one engine, but there are {len(sources)} models; name one of them, e.g. {sources[0]}.")
    family = given.family or installed_family()
    failures: list[EdgeKDError] = []
    for source in sources:
        out = given.out or engine_folder(source)
        try:
            notes = write_engine(source, out, family, options, Progress()).engine.get("notes", ())
        except (UsageError, MissingError):  # the same for all
            raise
        except EdgeKDError as error:
            failures.append(error)
            print(f"Not built: {error}", file=sys.stderr)
        else:
            print(out / "model.engine")
            for sentence in notes:
                print(f"{source}: {sentence}", file=sys.stderr)
    if failures:
        raise EdgeKDError(f"{len(failures)} of {len(sources)} could not be built; see above.")


def onnx_models(paths: list[Path]) -> list[Path]:
    """The ONNX files at or below these paths that TensorRT can build; INT8 in the form for CPUs is left out.

    Raises:
        EdgeKDError: If there is none.
    """
    found = [file for path in paths for file in find_models(path) if file.suffix == ".onnx"]
    fitting = [file for file in found if Artifact.load(file.parent).target != CPU]
    if not fitting:
        form = f" in a form for TensorRT; {FOR_TENSORRT}" if found else ", which engines are built from"
        raise EdgeKDError(f"{paths[0]} holds no model.onnx{form}.")
    return fitting


def built_engine(source: Path, options: BuildOptions) -> Path:
    """The engine of an ONNX file, built where none of it fits this device yet.

    Raises:
        MissingError: If engines of the installed family don't run on the GPU here.
        EdgeKDError: If it can't be built.
    """
    family, out = installed_family(), engine_folder(source)
    if why := FAMILIES[family].refusal(_gpu()):
        raise MissingError(f"{family} is installed, but {why}.")
    if not _fits(out, source, family, options):
        write_engine(source, out, family, options, Progress())
    return out / "model.engine"


def _fits(folder: Path, source: Path, family: str, options: BuildOptions) -> bool:
    try:
        engine = load_artifact(folder / "model.engine")
        require_fitting_engine(folder / "model.engine", engine, use_family(family), _gpu())
    except EdgeKDError:
        return False
    if engine.engine["options"].get("no_tf32", False) != options.no_tf32:
        return False
    return engine.engine["family"] == family and engine.source_sha256 == load_artifact(source).sha256


def _gpu() -> dict[str, Any]:
    """What is known of the GPU here; nothing where there is none."""
    return gpu_description() if no_gpu_reason() is None else {}
