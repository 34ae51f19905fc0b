"""Engines on disk: built beside a sidecar that says where they run, and checked against it before they are loaded."""

import shlex
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from edgekd_runtime.artifact import CPU, ENGINE_SOURCE, Artifact, load_artifact
from edgekd_runtime.atomic import atomic
from edgekd_runtime.errors import EdgeKDError, MissingError
from edgekd_runtime.files import sha256
from edgekd_runtime.trt.api import FAMILIES, trt, use_family
from edgekd_runtime.trt.build import BuildOptions, Progress, build_engine
from edgekd_runtime.trt.cuda import gpu_description, no_gpu_reason
from edgekd_runtime.trt.inspected import engine_layers, engine_precisions, require_engine_precision
from edgekd_runtime.trt.messages import Messages
from edgekd_runtime.trt.timing import timing_cache_file

FOR_TENSORRT = "write the one for TensorRT with `edgekd export RUN --precision int8 --target tensorrt`"


def engine_folder(source: Path) -> Path:
    """Where the engine of an ONNX file goes: beside its folder, named after it."""
    home = source.resolve().parent
    return home.with_name(f"{home.name.removesuffix(ENGINE_SOURCE)}-trt")


def require_builder(family: str) -> str:
    """Version of a family that can build here.

    Raises:
        MissingError: If it is not installed, or builds on a GPU and there is none.
    """
    version = use_family(family)
    reason = no_gpu_reason() if FAMILIES[family].needs_gpu else None
    if reason is not None:
        raise MissingError(f"{family} builds engines on the GPU that runs them: {reason}. Build it on the device.")
    return version


def require_options(family: str, version: str, options: BuildOptions) -> None:
    """Refuse options that don't fit a family, before anything is made.

    Raises:
        UsageError: Naming the option.
    """
    timing_cache_file(family, version, options.timing_cache)


def write_engine(onnx_file: Path, out: Path, family: str, options: BuildOptions, progress: Progress | None = None) -> Artifact:
    """Build an engine from an exported model into a folder, with its own sidecar.

    Args:
        onnx_file: ``model.onnx`` with ``model.json`` beside it.
        out: Folder for ``model.engine`` and ``model.json``.
        family: A key of `FAMILIES`.
        options: How it is built.
        progress: Told of (phase, step, steps).

    Raises:
        MissingError: If the family is not installed, or builds on a GPU and there is none.
        UsageError: If an option does not fit the family.
        EdgeKDError: If the model is in another target's form, the build fails, or a layer of the engine silently runs in FP32.
    """
    source = load_artifact(onnx_file)
    if source.target == CPU:
        raise EdgeKDError(f"{onnx_file} is INT8 in the form for CPUs, which TensorRT does not build; {FOR_TENSORRT}.")
    version = require_builder(family)
    cache = timing_cache_file(family, version, options.timing_cache)
    plan = build_engine(onnx_file, source, options, progress, cache)
    layers, notes = _built_precisions(plan, source, family, options)
    with atomic(out / "model.engine") as temporary:
        temporary.write_bytes(plan)
    artifact = replace(
        source,
        name=f"{source.name.removesuffix(ENGINE_SOURCE)} {family}",
        sha256=sha256(out / "model.engine"),
        source_sha256=source.sha256,
        engine={
            "family": family,
            "version": version,
            "gpu": gpu_description() if no_gpu_reason() is None else {},
            "built_from": str(onnx_file.resolve()),
            "options": asdict(options) | {"timing_cache": str(options.timing_cache or "")},
            "layers": layers,
            "notes": list(notes),
        },
    )
    artifact.save(out)
    return artifact


@dataclass(frozen=True)
class Loaded:
    """An engine in memory.

    Attributes:
        engine: TensorRT's.
        owner: What made it, and has to outlive it.
    """

    engine: "trt.ICudaEngine"
    owner: object


def deserialise(plan: bytes, *, host_code: bool) -> Loaded:
    """Load an engine with the family that `use_family` chose.

    Args:
        plan: The engine's file.
        host_code: Allow the plan to bring code of its own, as version-compatible ones do; it has to be ours, by its hash.

    Raises:
        EdgeKDError: If TensorRT can't start or can't load it here; with its reason.
    """
    messages = Messages()
    logger = messages.logger()
    runtime = messages.start(trt.Runtime, logger)
    runtime.engine_host_code_allowed = host_code
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise EdgeKDError(f"TensorRT can't load the engine: {messages.reasons()}.")
    return Loaded(engine, (runtime, logger))


def _built_precisions(plan: bytes, source: Artifact, family: str, options: BuildOptions) -> tuple[dict[str, int], tuple[str, ...]]:
    """Weighted layers of a fresh engine by what they compute in, held to the model's sidecar, and what could not be decided.

    Both are empty where no GPU here can load it. Not run here beyond the missing GPU.
    """
    if no_gpu_reason() is not None:
        return {}, ()
    if elsewhere := FAMILIES[family].refusal(gpu_description()):
        return {}, (f"the engine was built for another machine: {elsewhere}.",)
    try:
        loaded = deserialise(plan, host_code=options.version_compatible)
    except EdgeKDError as error:
        if FAMILIES[family].needs_gpu:
            raise EdgeKDError(
                f"{family} can't load the engine that it built of {source.name} ({error}); build with another --level, and report it."
            ) from error
        return {}, (f"its layers were not looked into: {error}",)  # TensorRT for RTX builds for GPUs other than the one that is here
    layers = engine_layers(loaded.engine)
    notes = require_engine_precision(layers, source)
    return dict(engine_precisions(layers)), notes


def require_fitting_engine(file: Path, artifact: Artifact, version: str, gpu: dict[str, Any]) -> None:
    """Refuse an engine that another TensorRT or another GPU was built for, before TensorRT sees it.

    Args:
        file: The engine.
        artifact: Its sidecar.
        version: Of the TensorRT here.
        gpu: `gpu_description` of the GPU here.

    Raises:
        MissingError: If no engine of its family runs on this GPU.
        EdgeKDError: With the command that builds it again.
    """
    built = artifact.engine
    rebuild = f"build it again here: {rebuild_command(artifact, file.parent)}"
    if not built:
        raise EdgeKDError(f"{file.parent / 'model.json'} does not say what built {file}; {rebuild}.")
    if built["version"] != version and not built["options"]["version_compatible"]:
        raise EdgeKDError(f"{file} was built by {built['family']} {built['version']}, here is {version}; {rebuild}.")
    family = FAMILIES[built["family"]]
    if why := family.refusal(gpu):
        raise MissingError(f"{file} is an engine of {built['family']}, and {why}; build one with --family tensorrt.")
    if not family.fits(built["gpu"], gpu) and not built["options"]["hardware_compatible"]:
        raise EdgeKDError(f"{file} was built for {built['gpu'].get('name')}, here is {gpu.get('name')}; {rebuild}.")


def rebuild_command(artifact: Artifact, out: Path) -> str:
    """What builds the engine again from the model that it came from."""
    built = artifact.engine
    words = ["python", "-m", "edgekd_runtime", "build", built.get("built_from", "model.onnx"), "--out", str(out)]
    words += ["--family", built["family"]] if built else []
    usual = asdict(BuildOptions())
    for name, value in built.get("options", {}).items():
        if name in usual and value not in (None, "", usual[name]):
            flag = f"--{name.replace('_mib', '').replace('_', '-')}"
            words += [flag] if value is True else [flag, str(value)]
    return shlex.join(words)
