"""Our own check finds what TensorRT's real parser rejects, and nothing in what it accepts."""

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

from edgekd_calib.forms import FORMS
from edgekd_calib.quantize import quantize
from edgekd_calib.rules import require_tensorrt, tensorrt_faults
from edgekd_runtime.errors import EdgeKDError
from tests.calib.conftest import FLOAT, INT32, UINT8, make_graph, noise, table_of

IMAGE = {"x": (FLOAT, (1, 3, 16, 16))}
WEIGHT = {"w": np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)}


def parsed_by_tensorrt(model) -> bool:
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    logger = trt.Logger(trt.Logger.INTERNAL_ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    if not trt.OnnxParser(network, logger).parse(model.SerializeToString()):
        return False
    return builder.build_serialized_network(network, builder.create_builder_config()) is not None


def quantised_by_default(tmp_path, **options):
    """What ONNX Runtime's own defaults make of a convolution."""
    weights = WEIGHT | {"b": np.ones(4, np.float32)}
    model = make_graph([(("Conv", ["x", "w", "b"], ["y"]), {})], IMAGE, {"y": (FLOAT, (1, 4, 14, 14))}, weights)
    onnx.save(model, tmp_path / "fp32.onnx")
    feeds = [{"x": np.random.default_rng(1).uniform(0.5, 3, (1, 3, 16, 16)).astype(np.float32)}]

    class Reader:
        def get_next(self):
            return feeds.pop() if feeds else None

    quantize_static(
        str(tmp_path / "fp32.onnx"),
        str(tmp_path / "int8.onnx"),
        Reader(),
        quant_format=QuantFormat.QDQ,
        calibrate_method=CalibrationMethod.MinMax,
        weight_type=QuantType.QInt8,
        **options,
    )
    return onnx.load(tmp_path / "int8.onnx")


REJECTED = {
    "a transpose of uint8": (
        lambda tmp: make_graph(
            [(("Transpose", ["x"], ["t"]), {"perm": [0, 3, 1, 2]}), (("Cast", ["t"], ["y"]), {"to": FLOAT})],
            {"x": (UINT8, (1, 8, 8, 3))},
            {"y": (FLOAT, (1, 3, 8, 8))},
        ),
        "Transpose 'n0' reads uint8",
    ),
    "an int32 bias": (
        lambda tmp: quantised_by_default(tmp, activation_type=QuantType.QInt8, extra_options={"ActivationSymmetric": True}),
        "dequantises an int32 bias",
    ),
    "asymmetric activations": (
        lambda tmp: quantised_by_default(tmp, activation_type=QuantType.QInt8, extra_options={"QuantizeBias": False}),
        "has a zero point other than 0",
    ),
    "unsigned activations": (
        lambda tmp: quantised_by_default(tmp, activation_type=QuantType.QUInt8, extra_options={"QuantizeBias": False}),
        "quantises to uint8",
    ),
    "an antialiased resize": (
        lambda tmp: make_graph(
            [(("Resize", ["x", "", "", "s"], ["y"]), {"mode": "linear", "antialias": 1})],
            IMAGE,
            {"y": (FLOAT, (1, 3, 8, 8))},
            {"s": np.array([1, 3, 8, 8])},
        ),
        "Resize 'n0' resizes with antialias=1",
    ),
    "a deformable convolution": (
        lambda tmp: make_graph(
            [(("DeformConv", ["x", "w", "o"], ["y"]), {})],
            IMAGE,
            {"y": (FLOAT, (1, 4, 14, 14))},
            WEIGHT | {"o": np.zeros((1, 18, 14, 14), np.float32)},
            opset=19,
        ),
        "DeformConv 'n0' is an operator that TensorRT does not have",
    ),
}


@pytest.mark.parametrize("case", REJECTED)
def test_what_the_parser_rejects_is_named_first(tmp_path, case):
    make, words = REJECTED[case]
    model = make(tmp_path)
    with pytest.raises(EdgeKDError, match=r"can't build bad\.onnx") as raised:
        require_tensorrt(model, "bad.onnx")
    assert words in str(raised.value)
    assert not parsed_by_tensorrt(model)


def test_what_we_write_has_no_fault_and_is_accepted(residual):
    images = noise(2)
    for model in (residual, quantize(residual, table_of(residual, images), FORMS["tensorrt"])):
        assert tensorrt_faults(model) == []
        assert parsed_by_tensorrt(model)


def test_an_int32_tensor_elsewhere_is_no_fault():
    model = make_graph([(("Cast", ["x"], ["y"]), {"to": FLOAT})], {"x": (INT32, (2,))}, {"y": (FLOAT, (2,))})
    assert tensorrt_faults(model) == []
