"""Every precision of several models: sound ONNX, runs in ONNX Runtime, and TensorRT for RTX builds it with the layers it claims."""

import onnx
import pytest

from edgekd.export.onnx import write_onnx
from edgekd_calib.graph import load_graph, producers, run_graph
from edgekd_calib.half import to_half
from edgekd_calib.quantize import kept_by_design, quantize
from edgekd_calib.rules import tensorrt_faults
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.trt.api import trt, use_family
from edgekd_runtime.trt.build import BuildOptions, build_engine
from edgekd_runtime.trt.layers import layer_precisions
from tests.calib.conftest import lively, noise, table_of

SIZE = (72, 104)
MODELS = [f"{head}-{backbone}" for head in ("lraspp", "deeplabv3", "psp") for backbone in ("resnet10t", "mobilenetv3_small_050")]
LOWER = {
    "fp32": lambda model, images: (model, {}),
    "fp16": lambda model, images: (to_half(model, "fp16"), {}),
    "bf16": lambda model, images: (to_half(model, "bf16"), {}),
    "int8-fp16": lambda model, images: (to_half(LOWER["int8"](model, images)[0], "fp16"), kept_by_design(model.graph)),
    "int8": lambda model, images: (quantize(model, table_of(model, images), weight_bits=8), kept_by_design(model.graph)),
}


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    file = tmp_path_factory.mktemp("model") / "model.onnx"
    write_onnx(lively(request.param, output_stride=16), SIZE, "classes", file, {})
    return load_graph(file)


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
def test_every_precision_is_what_it_claims(exported, precision, tmp_path):
    images = noise(2, SIZE)
    model, kept = LOWER[precision](exported, images)
    onnx.checker.check_model(model, full_check=True)
    assert tensorrt_faults(model) == []
    if precision != "bf16":  # ONNX Runtime's CPU has no bf16 convolution
        name = exported.graph.output[0].name
        for graph_outputs, expected in zip(run_graph(model, images, [name]), run_graph(exported, images, [name]), strict=True):
            assert graph_outputs[0].dtype == expected[0].dtype
            # untrained scores lie close together; the logits' own test is in test_quantize
            assert (graph_outputs[0] == expected[0]).mean() > {"fp32": 0.999, "fp16": 0.97}.get(precision, 0.5)
    made_by = producers(model.graph)
    for node in model.graph.node:
        if "int8" in precision and node.op_type == "Conv" and node.name not in kept:
            assert [made_by[name].op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2  # a cast between would part them
    file = tmp_path / "model.onnx"
    onnx.save(model, file)
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    use_family("tensorrt-rtx")
    assert len(build_engine(file, artifact(precision, kept), BuildOptions())) > 10_000
    network, alive = parsed(file)
    found, wanted = layer_precisions(network), precision.partition("-")[0]
    assert len(alive) == 3 and {name for name, one in found.items() if one != wanted} <= set(kept)
    assert sum(one == wanted for one in found.values()) > 10


def test_a_silent_fp32_is_an_error(exported, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    use_family("tensorrt-rtx")
    onnx.save(exported, tmp_path / "model.onnx")
    for precision in ("fp16", "int8"):
        with pytest.raises(EdgeKDError, match=f"would run in fp32, though m is {precision}"):
            build_engine(tmp_path / "model.onnx", artifact(precision, {}), BuildOptions())
