"""From `model.onnx` to an engine: parse, check what the layers compute in, build."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.trt.api import host_bytes, trt
from edgekd_runtime.trt.layers import require_precision
from edgekd_runtime.trt.messages import Messages
from edgekd_runtime.trt.timing import load_timing_cache, save_timing_cache

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class BuildOptions:
    """How an engine is built.

    Attributes:
        workspace_mib: Memory that a tactic may use while building and running, in MiB; 0 = the library's default.
        level: Builder optimisation level, 0–5: higher builds longer and may run faster.
        timing_cache: File that keeps measured tactics, so that the next build on this device is quicker; None = the device's own, or
            none where the family keeps none (`edgekd_runtime.trt.timing`).
        max_batch: Largest batch of a model exported with a dynamic batch; 1 for a static one.
        dla_core: Put what it can run on this DLA core of a Jetson, the rest on the GPU; None = the GPU alone.
        version_compatible: The engine runs on later TensorRT versions too.
        hardware_compatible: The engine runs on other GPUs of the Ampere generation and later too.
        no_tf32: Keep FP32 layers from TF32, the builder's default from Ampere on.
    """

    workspace_mib: int = 0
    level: int = 3
    timing_cache: Path | None = None
    max_batch: int = 1
    dla_core: int | None = None
    version_compatible: bool = False
    hardware_compatible: bool = False
    no_tf32: bool = False


def build_engine(
    onnx_file: Path, artifact: Artifact, options: BuildOptions, progress: Progress | None = None, cache: Path | None = None
) -> bytes:
    """Build an engine with the family that `use_family` chose.

    Args:
        onnx_file: The model.
        artifact: Its sidecar: the precision that every layer is held to.
        options: See there.
        progress: Told of (phase, step, steps).
        cache: Timing cache, as `timing_cache_file` gives it; None = none.

    Raises:
        EdgeKDError: If the parser rejects a node, a layer would silently run in FP32, or the build fails; says what to change.
    """
    messages = Messages()
    logger = messages.logger()
    builder = messages.start(trt.Builder, logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx_file.read_bytes()):
        raise EdgeKDError(f"TensorRT {trt.__version__} rejects {onnx_file}: {_parser_fault(parser)}")
    require_precision(network, artifact)
    config = _configure(builder, network, artifact, options)
    if progress is not None:
        config.progress_monitor = _monitor(progress)
    if cache is not None:
        load_timing_cache(config, cache)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EdgeKDError(f"TensorRT could not build {onnx_file}: {_explained(messages.last())}")
    if cache is not None:
        save_timing_cache(config, cache)
    return host_bytes(plan)


def _configure(
    builder: "trt.Builder", network: "trt.INetworkDefinition", artifact: Artifact, options: BuildOptions
) -> "trt.IBuilderConfig":
    config = builder.create_builder_config()
    config.builder_optimization_level = options.level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # else the engine's layers can't be inspected
    if options.workspace_mib:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.no_tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if options.dla_core is not None:
        _use_dla(builder, config, options.dla_core)
    entry = network.get_input(0)
    if entry.shape[0] == -1:
        one, most = (trt.Dims([batch, artifact.size[0], artifact.size[1], 3]) for batch in (1, options.max_batch))
        profile = builder.create_optimization_profile()
        profile.set_shape(entry.name, one, most, most)
        config.add_optimization_profile(profile)
    elif options.max_batch != 1:
        raise UsageError(f"{artifact.name} was exported for one image at a time; export it again with --max-batch {options.max_batch}.")
    return config


def _use_dla(builder: "trt.Builder", config: "trt.IBuilderConfig", core: int) -> None:
    """Not run here: no DLA was at hand."""
    if core >= builder.num_DLA_cores:
        raise UsageError(f"There are {builder.num_DLA_cores} DLA cores here, so none of number {core}; leave --dla-core out.")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core
    config.set_flag(trt.BuilderFlag.GPU_FALLBACK)


def _parser_fault(parser: "trt.OnnxParser") -> str:
    error = parser.get_error(0)
    mend = "`edgekd inspect` lists what TensorRT can't read and what to change"
    return f"{error.node_operator()} {error.node_name()!r}: {error.desc().partition(chr(10))[0]}; {mend}."


OUT_OF_MEMORY = ("out of memory", "outofmemory", "insufficient memory", "cudaerrormemoryallocation")


def _explained(message: str) -> str:
    if any(word in message.lower().replace(" ", "") or word in message.lower() for word in OUT_OF_MEMORY):
        return f"out of memory; close other programs, or lower --workspace or --level ({message})"
    return f"{message}; a larger --workspace or another --level may help"


def _monitor(progress: Progress) -> "trt.IProgressMonitor":
    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: Any) -> None:
            self.steps[phase_name] = int(num_steps)

        def step_complete(self, phase_name: str, step: Any) -> bool:
            progress(phase_name, int(step) + 1, max(self.steps[phase_name], int(step) + 1))
            return True

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()
