"""What every rewrite of an ONNX graph asks of it, and the one way to run it here."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import external_data_helper

from edgekd_runtime.errors import EdgeKDError, MissingError
from edgekd_runtime.external import external_files
from edgekd_runtime.files import sha256

Image = NDArray[np.uint8]
"""A network input, uint8 1×H×W×3."""


NEWEST_IR = 10
"""IR version that files are read as at most: the newest onnx writes one that runtimes refuse, for no more than types of 4 and 2 bits."""


def load_graph(file: Path) -> Any:
    """Read an ONNX file, and the weights that it keeps in files beside it.

    Raises:
        EdgeKDError: If it is missing or no ONNX file, or such a file is missing or lies elsewhere.
    """
    try:
        model = onnx.load(file, load_external_data=False)
    except OSError as error:
        raise EdgeKDError(f"Can't read {file}: {error.strerror}.") from error
    except Exception as error:  # protobuf's own class, which differs between its versions
        raise EdgeKDError(f"{file} is no ONNX file, or is cut short; export it again.") from error
    if not model.graph.node:
        raise EdgeKDError(f"{file} is no ONNX file, or is cut short; export it again.")
    try:
        external_data_helper.load_external_data_for_model(model, str(Path(file).resolve().parent))
    except Exception as error:  # of the file system, or the checker's own class
        told = (str(error).strip() or repr(error)).splitlines()[0].rstrip(".")
        raise EdgeKDError(f"{file} keeps weights in another file, which can't be read ({told}); put that beside it.") from error
    model.ir_version = min(model.ir_version, NEWEST_IR)
    return model


def graph_digest(file: Path) -> str:
    """SHA-256 of an ONNX file, or, where it keeps weights in files beside it, of all their digests.

    Raises:
        EdgeKDError: If one is missing.
    """
    others = external_files(file)
    if not others:
        return sha256(file)
    whole = "".join(sha256(one) for one in (file, *(file.parent / name for name in others)))
    return hashlib.sha256(whole.encode()).hexdigest()


def producers(graph: Any) -> dict[str, Any]:
    """Node by the tensor that it makes."""
    return {name: node for node in graph.node for name in node.output}


def consumers(graph: Any) -> dict[str, list[Any]]:
    """Nodes by the tensor that they read."""
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def constants(graph: Any) -> dict[str, NDArray[Any]]:
    """Values of the initializers by name."""
    return {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}


def network_nodes(graph: Any) -> list[Any]:
    """The nodes from the first convolution to the last: without normalisation before, and resizing and class map after them."""
    places = [index for index, node in enumerate(graph.node) if node.op_type == "Conv"]
    return list(graph.node[places[0] : places[-1] + 1]) if places else []


def tensor_types(model: Any) -> dict[str, int]:
    """Element type of every tensor, by shape inference."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    typed = {item.name: item.type.tensor_type.elem_type for item in [*graph.value_info, *graph.input, *graph.output]}
    return typed | {item.name: item.data_type for item in graph.initializer}


def drop_unused(graph: Any) -> None:
    """Remove nodes and initializers that nothing reads any more."""
    wanted = {item.name for item in graph.output}
    alive = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            alive.append(node)
    kept = [item for item in graph.initializer if item.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(alive))
    graph.initializer.extend(kept)


def with_outputs(model: Any, names: Iterable[str]) -> Any:
    """A copy that also gives these tensors, after its own outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for name in names:
        copy.graph.output.append(onnx.ValueInfoProto(name=name))
    return copy


def scores_tensor(graph: Any) -> str:
    """Name of the scores that the class map is made of; the output itself where it is the scores."""
    return next((str(node.input[0]) for node in graph.node if node.op_type == "ArgMax"), graph.output[0].name)


def run_graph(model: Any, images: Iterable[Image], outputs: Sequence[str], *, optimise: bool = True) -> Iterator[list[NDArray[Any]]]:
    """Run a graph through ONNX Runtime on the CPU, image by image.

    Args:
        model: ModelProto.
        images: Network inputs.
        outputs: Tensors to give; any tensor of the graph.
        optimise: False evaluates every node as it is written, so that Q/DQ pairs are float arithmetic and no kernel of this CPU
            can saturate.

    Raises:
        MissingError: If ONNX Runtime is not installed.
        EdgeKDError: If it refuses the graph, or an image.
    """
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    own = {item.name for item in model.graph.output}
    shown = with_outputs(model, [name for name in outputs if name not in own])
    try:
        session = onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no public base class
        raise EdgeKDError(f"ONNX Runtime refuses the graph: {str(error).splitlines()[0]}") from error
    entry = session.get_inputs()[0].name
    for image in images:
        try:
            found = session.run(list(outputs), {entry: image})
        except Exception as error:
            raise EdgeKDError(f"ONNX Runtime can't run the graph on {_size(image)}: {str(error).splitlines()[0]}") from error
        yield found


def require_size(model: Any, image: Image) -> None:
    """Refuse an image of another size than the network's.

    Raises:
        EdgeKDError: Naming both.
    """
    wanted = [item.dim_value for item in model.graph.input[0].type.tensor_type.shape.dim]
    if len(wanted) != image.ndim or any(size not in (0, given) for size, given in zip(wanted, image.shape, strict=True)):
        takes = "x".join(str(size or "N") for size in wanted)
        raise EdgeKDError(f"A calibration image is {_size(image)}, but the network takes {takes}; fit it to the network's rectangle first.")


def _size(image: Image) -> str:
    return "x".join(str(size) for size in image.shape)


def onnxruntime_version() -> str:
    """Of the library that `run_graph` uses."""
    return str(_onnxruntime().__version__)


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingError("This needs ONNX Runtime: pip install 'edgekd[cpu]' (or [gpu]).") from error
    return onnxruntime
