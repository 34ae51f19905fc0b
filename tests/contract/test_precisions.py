"""Every precision of several models: sound ONNX, runs in ONNX Runtime, and TensorRT for RTX builds it with the layers it claims."""

from dataclasses import replace

import numpy as np
import onnx
import pytest

import tests.models.small  # noqa: F401  (registers small transformers with timm)
from edgekd.export.onnx import write_onnx
from edgekd.models.backbone import can_dilate
from edgekd.models.networks import NETWORKS
from edgekd_calib.forms import FORMS
from edgekd_calib.graph import load_graph, producers, run_graph, scores_tensor
from edgekd_calib.half import to_half
from edgekd_calib.quantize import kept_by_design, quantised_layers, quantize
from edgekd_calib.rules import tensorrt_faults
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.trt.api import trt, use_family
from edgekd_runtime.trt.build import BuildOptions, build_engine
from edgekd_runtime.trt.layers import layer_precisions
from tests.calib.conftest import noise, settled, table_of

SIZE = (72, 104)
INT8_NOISE_DB = {
    "lraspp-resnet10t": 28,
    "lraspp-mobilenetv3_small_050": 18,
    "deeplabv3-resnet10t": 17,
    "deeplabv3-mobilenetv3_small_050": 12,
    "psp-resnet10t": 21,
    "psp-mobilenetv3_small_050": 15,
    "fpn-small_dinov2": 26,
}
"""Signal to noise of the scores, in decibels, that sound INT8 has; the floor is 3 below. Nothing is trained here, so it is low."""
BIT_DB = 6
"""What the bit costs that the weights for CPUs have less: twice the step."""
FLOOR_DB = {"fp32": np.inf, "fp16": 43}
LOWER = {
    "fp32": lambda model, table: (model, {}),
    "fp16": lambda model, table: (to_half(model, "fp16"), {}),
    "bf16": lambda model, table: (to_half(model, "bf16"), {}),
    "int8-fp16": lambda model, table: (to_half(LOWER["int8"](model, table)[0], "fp16"), kept_by_design(model.graph)),
    "int8": lambda model, table: (quantize(model, table, FORMS["tensorrt"]), kept_by_design(model.graph)),
    "int8-cpu": lambda model, table: (quantize(model, table, FORMS["cpu"]), kept_by_design(model.graph)),
}


@pytest.fixture(scope="module", params=INT8_NOISE_DB)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def exported(name, tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "model.onnx"
    options = {"output_stride": 16} if can_dilate(name.partition("-")[2]) else {}
    write_onnx(settled(name, SIZE, **options), SIZE, "classes", file, {})
    return load_graph(file)


@pytest.fixture(scope="module")
def table(exported):
    return table_of(exported, noise(2, SIZE))


@pytest.fixture(scope="module")
def signal(name, exported):
    """The FP32 scores, and the least signal to noise that a precision has to keep of them."""
    floors = FLOOR_DB | dict.fromkeys(("int8", "int8-fp16"), INT8_NOISE_DB[name] - 3) | {"int8-cpu": INT8_NOISE_DB[name] - 3 - BIT_DB}
    return scores(exported), floors


def scores(model):
    """Of two images, Q/DQ as they are written."""
    name = scores_tensor(model.graph)
    return np.concatenate([outputs[0] for outputs in run_graph(model, noise(2, SIZE), [name], optimise=False)]).astype(np.float64)


def signal_to_noise(expected, given):
    error = np.square(expected - given).sum()
    return 10 * np.log10(np.square(expected).sum() / error) if error else np.inf


def artifact(precision, kept, **options):
    classes = ClassSet(tuple("abcde"), default_palette(5))
    return Artifact("m", "m", "none", SIZE, "classes", precision, classes, (), (), 18, "", "", reduction={"kept": kept}, **options)


def parsed(file):
    """The network as TensorRT for RTX reads it; everything that it hangs on has to stay alive."""
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(file.read_bytes())
    return network, (logger, builder, parser)


@pytest.mark.parametrize("precision", LOWER)
def test_every_precision_is_what_it_claims(exported, table, signal, precision, tmp_path):
    model, kept = LOWER[precision](exported, table)
    onnx.checker.check_model(model, full_check=True)
    assert bool(tensorrt_faults(model)) == (precision == "int8-cpu")
    if precision != "bf16":  # ONNX Runtime's CPU has no bf16 convolution
        expected, floors = signal
        assert signal_to_noise(expected, scores(model)) >= floors[precision]
        name = exported.graph.output[0].name
        (given,) = next(run_graph(model, noise(1, SIZE), [name]))  # its kernels run it, too, and the class map keeps its type
        assert given.dtype == np.uint8 and given.shape == (1, *SIZE)
    made_by = producers(model.graph)
    for node in model.graph.node:
        if "int8" in precision and node.op_type == "Conv" and node.name not in kept:
            assert [made_by[name].op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2  # a cast between would part them
    file = tmp_path / "model.onnx"
    onnx.save(model, file)
    if precision == "int8-cpu":
        return
    built_as_claimed(file, precision, kept)


def built_as_claimed(file, precision, kept):
    """TensorRT for RTX makes an engine of it, whose layers are in that precision or among those that are kept."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    use_family("tensorrt-rtx")
    assert len(build_engine(file, artifact(precision, kept), BuildOptions())) > 10_000
    network, alive = parsed(file)
    found, wanted = layer_precisions(network), precision.partition("-")[0]
    assert len(alive) == 3 and {name for name, one in found.items() if one != wanted} <= set(kept)
    assert sum(one == wanted for one in found.values()) > 10


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_every_whole_network_is_built_in_every_precision(network, tmp_path):
    """Without a look at their scores: branches that see two pixels at this size make untrained ones a matter of chance."""
    write_onnx(settled(network, SIZE), SIZE, "classes", tmp_path / "model.onnx", {})
    exported = load_graph(tmp_path / "model.onnx")
    table = table_of(exported, noise(2, SIZE))
    for precision in set(LOWER) - {"int8-cpu"}:
        model, kept = LOWER[precision](exported, table)
        onnx.checker.check_model(model, full_check=True)
        assert tensorrt_faults(model) == []
        onnx.save(model, tmp_path / "lower.onnx")
        built_as_claimed(tmp_path / "lower.onnx", precision, kept)


def wide(model, table):
    """Every activation's scale 4 times too large, as an outlier in the calibration makes it."""
    return dict.fromkeys(table.ranges, 4)


def clipped(model, table):
    """The first layer's input cut to an eighth of its range."""
    first = quantised_layers(model.graph, FORMS["tensorrt"])[0]
    return {next(node.input[0] for node in model.graph.node if node.name == first): 1 / 8}


@pytest.mark.parametrize("fault", [wide, clipped])
def test_broken_scales_miss_the_floor(exported, table, signal, fault):
    factors = fault(exported, table)
    broken = replace(table, ranges={name: tuple(bound * factors.get(name, 1) for bound in both) for name, both in table.ranges.items()})
    expected, floors = signal
    assert signal_to_noise(expected, scores(quantize(exported, broken, FORMS["tensorrt"]))) < floors["int8"]


def test_a_silent_fp32_is_an_error(exported, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    use_family("tensorrt-rtx")
    onnx.save(exported, tmp_path / "model.onnx")
    for precision in ("fp16", "int8"):
        with pytest.raises(EdgeKDError, match=f"would run in fp32, though m is {precision}"):
            build_engine(tmp_path / "model.onnx", artifact(precision, {}), BuildOptions())
