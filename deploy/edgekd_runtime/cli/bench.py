"""`bench`."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekd_runtime import tf32
from edgekd_runtime.artifact import find_models, load_artifact
from edgekd_runtime.backends import BACKENDS, USUAL
from edgekd_runtime.bundle import Bundle
from edgekd_runtime.cases import Case, for_each, left_out, plan
from edgekd_runtime.cli.build import built_engine, onnx_models
from edgekd_runtime.cli.options import Progress, at_least, between, models_argument
from edgekd_runtime.decision import decisions
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.harness import bench_cases
from edgekd_runtime.latency import Timing
from edgekd_runtime.measurement import Measurement, save_results
from edgekd_runtime.trt import host_code
from edgekd_runtime.trt.api import installed_family
from edgekd_runtime.trt.build import BuildOptions

NOT_MEASURED = "Not measured: "
"""What a line on stderr begins with that tells of a case that failed."""
HELP = "latency, memory and power of model files, and mIoU on a bundle's images"


def arguments(parser: argparse.ArgumentParser, bundle: Bundle | None) -> None:
    """Its flags."""
    models_argument(parser, bundle)
    parser.add_argument(
        "--backend",
        action="append",
        default=[],
        choices=BACKENDS,
        help="backend to measure; may be repeated; all installed ones that suit the file by default",
    )
    parser.add_argument("--threads", action="append", type=at_least(0), help="CPU threads; 0 = the backend's default; may be repeated")
    parser.add_argument("--batch", action="append", type=at_least(1), help="batch size; may be repeated")
    parser.add_argument("--seconds", type=between(0.1, 3600), default=3.0, help="minimum measuring time per model and stage, seconds")
    parser.add_argument("--network-only", action="store_true", help="time the bare network call alone")
    parser.add_argument("--power", metavar="SOURCE", help="measure energy per image, joules: tegrastats, nvml, rapl, or auto")
    parser.add_argument(
        "--idle-seconds", type=between(0, 3600), default=0.0, help="measure the power at rest for this long first, seconds, and subtract it"
    )
    parser.add_argument("--trt", action="store_true", help="also measure TensorRT engines, built if none fits this device yet")
    parser.add_argument("--no-tf32", action="store_true", help="GPU: disable TF32 in FP32 models and in engines built here")
    parser.add_argument(
        "--results", type=Path, help="JSON file to write, for `edgekd report`; - writes it to stdout, and the rest to stderr"
    )
    parser.add_argument(host_code.FLAG, action="store_true", help=host_code.HELP)


def run(given: argparse.Namespace) -> None:
    """Measure, print and save.

    Raises:
        EdgeKDError: If a model can't be measured; the others are, and saved, before.
    """
    if given.allow_host_code:
        host_code.allow()
    failures: list[EdgeKDError] = []

    def failed(case: Case, error: EdgeKDError) -> None:
        failures.append(error)
        print(f"{NOT_MEASURED}{error}", file=sys.stderr)

    if given.idle_seconds and not given.power:
        raise UsageError("--idle-seconds needs --power, the source that is read.")
    if given.no_tf32:
        tf32.switch_off()
    files = list(dict.fromkeys(file for path in given.models for file in find_models(path)))
    if given.trt:
        installed_family()  # none at all is no failure of one model
        options = BuildOptions(no_tf32=given.no_tf32)
        engines = for_each((Case(file, None) for file in onnx_models(given.models)), lambda case: built_engine(case.file, options), failed)
        files = list(dict.fromkeys([*_runnable(files, given.backend), *engines.values()]))
    if not files:
        raise failures[0]
    labelled = given.bundle is not None and given.bundle.images > 0
    noise = np.random.default_rng(0).integers(0, 256, (*load_artifact(files[0]).size, 3)).astype(np.uint8)
    cases = plan(files, given.backend, given.threads or (0,), given.batch or (1,))
    for sentence in left_out(files, cases):
        print(sentence, file=sys.stderr)
    measured = bench_cases(
        cases,
        given.bundle.sample(0)[0] if labelled else noise,
        Timing(seconds=given.seconds),
        image_file=given.bundle.image(0) if labelled else None,
        samples=given.bundle.samples if labelled else None,
        power=given.power,
        idle_s=given.idle_seconds,
        network_only=given.network_only,
        progress=Progress(),
        failed=failed,
    )
    if not measured:
        raise failures[0]
    _tell(measured, given.results)
    if failures:
        raise EdgeKDError(f"{len(failures)} could not be measured, see above.")


def _runnable(files: list[Path], backends: Sequence[str]) -> list[Path]:
    """Without the ONNX files that only the engines are wanted of: no backend is named for them, and the usual one is not installed."""
    if any(BACKENDS[name].reads == ".onnx" for name in backends):
        return files
    missing = _missing(USUAL[".onnx"])
    if backends or missing:
        print(f"The ONNX files themselves are left out{f': {missing}' if not backends else ''}", file=sys.stderr)
        return [file for file in files if file.suffix != ".onnx"]
    return files


def _missing(backend: str) -> str:
    """Why a backend can't be used here; empty where it can."""
    try:
        BACKENDS[backend].version()
    except MissingError as error:
        return str(error)
    return ""


def _tell(measured: list[Measurement], results: Path | None) -> None:
    to_stdout = results == Path("-")
    for one in measured:
        print(_line(one), file=sys.stderr if to_stdout else sys.stdout)
        for sentence in () if to_stdout else one.warnings:  # whoever reads the document has them
            print(f"  {sentence}", file=sys.stderr)
    for sentence in () if to_stdout else decisions(measured):
        print(sentence)
    if to_stdout:
        _print_results(measured)
    elif results:
        save_results(results, measured)


def _print_results(measured: list[Measurement]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        save_results(f"{folder}/results.json", measured)
        print(Path(folder, "results.json").read_text(encoding="utf-8"))


def _line(one: Measurement) -> str:
    network = one.latency["network"]
    score = f"  {one.artifact.score_name} {100 * one.accuracy.miou:6.2f} %" if one.accuracy else ""
    times = f"p50 {network.p50_ms:8.2f} ms  p99 {network.p99_ms:8.2f} ms  {network.throughput:8.1f}/s"
    return f"{one.artifact.name:32}{one.backend:22}{times}{score}"
