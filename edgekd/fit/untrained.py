"""A network that nobody has trained yet, as the files that it would ship as: the same graph, and so the same latency."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from edgekd.export.calibration import CalibrationSet, calibrate
from edgekd.export.folder import whole_folder
from edgekd.export.lowered import lowered_precision
from edgekd.export.onnx import OPSET, write_onnx
from edgekd.export.precision import Wanted, wanted
from edgekd.export.reduce import kept_anyway, lowered_artifact
from edgekd.fit.candidate import Candidate
from edgekd.models import Network, build_network
from edgekd_calib.graph import load_graph
from edgekd_calib.half import LARGEST, out_of_range
from edgekd_runtime import __version__
from edgekd_runtime.artifact import Artifact, load_artifact
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import sha256

IMAGES = 2
"""Of noise that INT8 is calibrated on: ranges decide what it scores, and not what it costs."""
SETTLED_AT = (128, 256)


@dataclass
class Files:
    """Exported forms by precision (several where each target has one of its own), and why others could not be made."""

    made: dict[str, list[Path]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def export_untrained(candidate: Candidate, num_classes: int, folder: Path, precisions: Sequence[str], targets: Sequence[str]) -> Files:
    """Write a candidate in each precision; what lies in the folder already stays.

    Args:
        candidate: What.
        num_classes: C.
        folder: Of the folders, one a precision.
        precisions: Of `edgekd.export.precision.PRECISIONS`.
        targets: What INT8 is written for.

    Returns:
        The files; where FP32 can't be made, no other can.
    """
    files, source = Files(), folder / "fp32" / "model.onnx"
    with _told(files, precisions):
        if not _is_whole(source):
            _write_fp32(candidate, num_classes, source.parent)
        if "fp32" in precisions:
            files.made["fp32"] = [source]
    for one in wanted(precisions, targets) if not files.failures else ():
        with _told(files, [one.precision]):
            if not _is_whole(folder / one.folder / "model.onnx"):
                _write_lower(source, one, folder / one.folder)
            files.made.setdefault(one.precision, []).append(folder / one.folder / "model.onnx")
    return files


@contextmanager
def _told(files: Files, precisions: Sequence[str]) -> Iterator[None]:
    """Keep why these can't be made, whatever library it is that says so: one candidate ends no run."""
    try:
        yield
    except Exception as error:
        files.failures.update(dict.fromkeys(precisions, (str(error).strip() or repr(error)).splitlines()[0]))


def _is_whole(model: Path) -> bool:
    try:
        return bool(load_artifact(model))
    except (EdgeKDError, OSError):
        return False


def _write_fp32(candidate: Candidate, num_classes: int, out: Path) -> None:
    network = build_untrained(candidate, num_classes)
    mean, std = network.normalisation
    with whole_folder(out) as hidden:
        file = hidden / "model.onnx"
        write_onnx(network, candidate.size, "classes", file, {"edgekd": __version__, "model": network.name})
        names = tuple(f"class {number}" for number in range(num_classes))
        Artifact(
            name=f"{network.name} fp32",
            model=network.name,
            method="untrained",
            size=candidate.size,
            output="classes",
            precision="fp32",
            classes=ClassSet(names, default_palette(num_classes)),
            mean=mean,
            std=std,
            opset=OPSET,
            sha256=sha256(file),
            source_sha256="",
            versions={"edgekd": __version__, "torch": torch.__version__},
        ).save(hidden)


def build_untrained(candidate: Candidate, num_classes: int) -> Network:
    """The network with numbers such as training leaves them.

    As it is built, zeros (biases, the last scale of a residual branch) would make the export drop what a trained network has, and deep
    layers might compute with numbers so small that a CPU is slow on them. So what is constant is moved a little, and the batch norms are
    set by noise, after which activations are about as large as a trained network's.
    """
    torch.manual_seed(0)
    network = build_network(candidate.model, num_classes, pretrained=False).eval()
    with torch.no_grad():
        for value in network.parameters():
            if value.is_floating_point() and value.numel() and bool((value == value.flatten()[0]).all()):
                value.add_(0.1 * torch.randn_like(value))
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(2, 3, *(min(sides) for sides in zip(candidate.size, SETTLED_AT, strict=True))))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return network.eval()


def _write_lower(source: Path, one: Wanted, out: Path) -> None:
    model, artifact = load_graph(source), load_artifact(source)
    images = _noise(artifact.size)
    table = calibrate(source, images, "minmax") if one.kind.quantised else None
    beyond = out_of_range(model, images.images, LARGEST[one.kind.half]) if one.kind.half else {}
    kept = kept_anyway(model, one.kind, beyond)
    graph = lowered_precision(model, one, table, beyond=beyond).build(kept)
    with whole_folder(out) as folder:
        onnx.save(graph, folder / "model.onnx")
        lowered_artifact(artifact, one, folder / "model.onnx", {"kept": kept}).save(folder)


def _noise(size: tuple[int, int]) -> CalibrationSet:
    draw = np.random.default_rng(0)
    images = [draw.integers(0, 256, (1, *size, 3)).astype(np.uint8) for _ in range(IMAGES)]
    return CalibrationSet([f"noise {number}" for number in range(IMAGES)], images, [], 0)
