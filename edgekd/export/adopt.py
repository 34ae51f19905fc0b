"""Somebody's ONNX file as an artifact of ours: normalisation in front, resize and class map behind, proved against the original."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxslim
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgekd.console import Update, note, progress
from edgekd.data import Layout
from edgekd.distill.resize import upsample
from edgekd.export.folder import whole_folder
from edgekd.export.parity import Parity, ParityLimits, choose_images
from edgekd_calib.graph import Image, graph_digest, load_graph, onnxruntime_version, run_graph, scores_tensor
from edgekd_runtime import __version__
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.files import sha256
from edgekd_runtime.image import fit

OPSET = 18
INPUT, SCORES, OUTPUT = "image", "edgekd_scores", "classes"


@dataclass(frozen=True)
class Foreign:
    """What somebody's file expects and gives.

    Attributes:
        file: The ONNX file.
        size: Network input (H, W).
        mean, std: Normalisation of RGB in 0–1 that it expects.
        bgr: It takes blue first.
        output: Name of the tensor of scores 1×C×h×w or of a class map 1×H×W; None = its first output.
    """

    file: Path
    size: tuple[int, int]
    mean: Sequence[float]
    std: Sequence[float]
    bgr: bool = False
    output: str | None = None


def adopt(foreign: Foreign, layout: Layout, data: dict[str, Any], out: Path, *, images: int, limits: ParityLimits) -> Artifact:
    """Write ``model.onnx`` and ``model.json``; the folder appears only if it agrees with the original.

    Args:
        foreign: The file and what it expects.
        layout: Validation split, for classes and parity.
        data: What the sidecar says of it: layout, root, split, options.
        out: Folder.
        images: Validation images that both are compared on.
        limits: When parity counts as missed.

    Raises:
        EdgeKDError: If the file is missing, damaged, or can't be rewritten.
        UsageError: If it takes no images of that size, or has another number of classes.
        GateError: If the two disagree.
    """
    original = _fixed(foreign)
    name = original.graph.output[0].name
    scores = _shape(original, name)
    classes = _classes(original, scores)
    if classes not in (0, len(layout.classes)):
        raise UsageError(
            f"{foreign.file} gives {classes} classes but the data has {len(layout.classes)}; name the data set that it is for."
        )
    model = _adopted(original, foreign, name, len(scores or ()))
    with whole_folder(out) as folder:
        file = folder / "model.onnx"
        note(f"Adopting {foreign.file} at {foreign.size[0]}x{foreign.size[1]}")
        onnx.save(model, file)
        with progress("parity") as update:
            chosen = [fit(layout.read(index).image, foreign.size)[None] for index in choose_images(layout, images)]
            parity = _parity(original, model, foreign, len(layout.classes), chosen, update)
        artifact = Artifact(
            name=f"{foreign.file.stem} fp32",
            model=foreign.file.stem,
            method="adopted",
            size=foreign.size,
            output="classes",
            precision="fp32",
            classes=layout.classes,
            mean=tuple(foreign.mean),
            std=tuple(foreign.std),
            opset=OPSET,
            sha256=sha256(file),
            source_sha256=graph_digest(foreign.file),
            data=data,
            parity=asdict(parity),
            versions={"edgekd": __version__, "onnx": onnx.__version__, "onnxslim": onnxslim.__version__},
        )
        artifact.save(folder)
        parity.require(limits, file=out / "model.onnx")
    return artifact


def _fixed(foreign: Foreign) -> Any:
    """The original with every size known, at our opset.

    Raises:
        UsageError: If it takes something else than images of that size.
        EdgeKDError: If it can't be brought to our opset.
    """
    model = load_graph(foreign.file)
    _give(model, foreign.output or model.graph.output[0].name)
    entries = [item for item in model.graph.input if item.name not in {constant.name for constant in model.graph.initializer}]
    if len(entries) != 1:
        raise UsageError(f"{foreign.file} takes {len(entries)} inputs; only networks that take one batch of images can be adopted.")
    kind = entries[0].type.tensor_type
    wanted = [dim.dim_value for dim in kind.shape.dim]
    shape = (1, 3, *foreign.size)
    if (
        kind.elem_type != TensorProto.FLOAT
        or len(wanted) != 4
        or any(size not in (0, given) for size, given in zip(wanted, shape, strict=True))
    ):
        takes = "x".join(str(size or "N") for size in wanted)
        raise UsageError(f"{foreign.file} takes {takes}, not float 1x3x{foreign.size[0]}x{foreign.size[1]}; give its own size as --imgsz.")
    for dim, size in zip(kind.shape.dim, shape, strict=True):
        dim.Clear()
        dim.dim_value = size
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    try:
        if next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx")) < OPSET:
            model = onnx.version_converter.convert_version(model, OPSET)
        model = onnx.shape_inference.infer_shapes(onnxslim.slim(model), data_prop=True)
    except Exception as error:  # of three libraries
        raise EdgeKDError(
            f"{foreign.file} can't be brought to opset {OPSET}: {(str(error).strip() or repr(error)).splitlines()[0]}"
        ) from error
    return model


def _give(model: Any, name: str) -> None:
    """Make a tensor the only output, so that no simplifier renames it or folds it away.

    Raises:
        UsageError: If there is no such tensor.
    """
    outputs = model.graph.output
    if not any(name in node.output for node in model.graph.node):
        raise UsageError(f"The file has no tensor {name!r}; its outputs are {', '.join(item.name for item in outputs)}.")
    given = next((item for item in outputs if item.name == name), onnx.ValueInfoProto(name=name))
    del outputs[:]
    outputs.append(given)


def _shape(model: Any, name: str) -> list[int] | None:
    """Of a tensor, 0 where it is unknown; None if nothing is known of it."""
    for item in [*model.graph.output, *model.graph.value_info]:
        if item.name == name and item.type.HasField("tensor_type"):
            return [dim.dim_value for dim in item.type.tensor_type.shape.dim]
    return None


def _classes(model: Any, given: list[int] | None) -> int:
    """How many classes its output tells apart, 0 if the graph does not say: channels of scores, or of what a class map is the argmax of."""
    if given and len(given) == 4:
        return given[1]
    argmax = next((node for node in model.graph.node if node.op_type == "ArgMax"), None)
    scores = _shape(model, argmax.input[0]) if argmax is not None else None
    axis = next((item.i for item in argmax.attribute if item.name == "axis"), 0) if argmax is not None else 0
    return scores[axis] if scores and len(scores) == 4 else 0


def _adopted(original: Any, foreign: Foreign, name: str, rank: int) -> Any:
    """The original between uint8 1×H×W×3 and uint8 1×H×W."""
    model = onnx.ModelProto()
    model.CopyFrom(original)
    graph, (height, width) = model.graph, foreign.size
    entry, name = _rename(graph, graph.input[0].name, "edgekd_input"), _rename(graph, name, "edgekd_output")
    for taken in (INPUT, OUTPUT):
        _rename(graph, taken, f"edgekd_original_{taken}")
    scale = 1 / (255 * np.asarray(foreign.std, np.float32))
    shift = -np.asarray(foreign.mean, np.float32) / np.asarray(foreign.std, np.float32)

    def constant(values: Any, kind: Any, label: str) -> str:
        graph.initializer.append(numpy_helper.from_array(np.asarray(values, kind), label))
        return label

    # rows of the image's width instead of three values: runtimes broadcast along a last axis of 3 pixel by pixel
    before = [
        helper.make_node("Cast", [INPUT], ["edgekd_float"], to=TensorProto.FLOAT),
        helper.make_node(
            "Mul", ["edgekd_float", constant(np.tile(scale, (1, 1, width, 1)), np.float32, "edgekd_scale")], ["edgekd_scaled"]
        ),
        helper.make_node(
            "Add", ["edgekd_scaled", constant(np.tile(shift, (1, 1, width, 1)), np.float32, "edgekd_shift")], ["edgekd_normal"]
        ),
    ]
    last = "edgekd_normal"
    if foreign.bgr:
        before.append(helper.make_node("Gather", [last, constant([2, 1, 0], np.int64, "edgekd_order")], ["edgekd_bgr"], axis=3))
        last = "edgekd_bgr"
    before.append(helper.make_node("Transpose", [last], [entry], perm=[0, 3, 1, 2]))
    after, scores = [], name
    if rank != 3:
        if rank != 4:
            raise UsageError(f"{foreign.file}: {name} is no map of scores 1xCxHxW or of classes 1xHxW; name one with --scores.")
        sizes = _shape(model, name)
        if sizes is not None and sizes[2:] != [height, width]:
            target = constant([1, sizes[1], height, width], np.int64, "edgekd_size")
            keywords = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
            after.append(helper.make_node("Resize", [name, "", "", target], [SCORES], **keywords))
            scores = SCORES
        after.append(helper.make_node("ArgMax", [scores], ["edgekd_classes"], axis=1, keepdims=0))
        scores = "edgekd_classes"
    elif (_shape(model, name) or [0, 0, 0])[1:] != [height, width]:
        raise UsageError(f"{foreign.file} gives a class map that is not of the input's size; name the tensor of its scores with --scores.")
    after.append(helper.make_node("Cast", [scores], [OUTPUT], to=TensorProto.UINT8))
    for node in [*before, *after]:
        node.name = f"edgekd/{node.output[0]}"
    for index, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{index}"  # calibration and sensitivity go by names
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, height, width, 3]))
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.UINT8, [1, height, width]))
    try:
        slim = onnxslim.slim(model)
        onnx.checker.check_model(slim, full_check=True)
    except Exception as error:
        raise EdgeKDError(f"{foreign.file} can't be rewritten: {(str(error).strip() or repr(error)).splitlines()[0]}") from error
    return slim


def _rename(graph: Any, old: str, new: str) -> str:
    """Give a tensor a name that none of ours has."""
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
    for item in [*graph.input, *graph.output, *graph.value_info]:
        if item.name == old:
            item.name = new
    return new


def _parity(original: Any, model: Any, foreign: Foreign, classes: int, images: list[Image], update: Update) -> Parity:
    """Both on the same images; the original's input is prepared, and its scores resized, outside the graph.

    Raises:
        UsageError: If the original's class map holds a class that the data has not.
    """
    name, inner = original.graph.output[0].name, scores_tensor(model.graph)
    agree, errors = [], []
    for done, (image, (found, scores)) in enumerate(zip(images, run_graph(model, images, [OUTPUT, inner]), strict=True), 1):
        expected = _expected(original, foreign, name, image)
        if expected.ndim == 3 and not 0 <= expected.min() <= expected.max() < classes:
            highest = int(expected.max())
            raise UsageError(
                f"{foreign.file} gives the class {highest} but the data has {classes}, from 0 on; name the data set that it is for."
            )
        if expected.ndim == 4:
            errors.append(float(np.abs(scores - expected).max() / np.abs(expected).max()))
            expected = expected.argmax(1)
        agree.append(float((found == expected).mean()))
        update(done, len(images))
    return Parity(len(images), float(np.mean(agree)), max(errors, default=0.0), f"onnxruntime {onnxruntime_version()} CPU")


def _expected(original: Any, foreign: Foreign, name: str, image: Image) -> NDArray[Any]:
    """The original's scores at the network's size, 1×C×H×W, or its class map."""
    mean, std = np.asarray(foreign.mean, np.float32), np.asarray(foreign.std, np.float32)
    prepared = (image.astype(np.float32) / 255 - mean) / std
    normal: Any = np.ascontiguousarray((prepared[..., ::-1] if foreign.bgr else prepared).transpose(0, 3, 1, 2))
    (found,) = next(run_graph(original, [normal], [name]))
    return upsample(torch.from_numpy(found), foreign.size).numpy() if found.ndim == 4 else found
