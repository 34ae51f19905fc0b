"""Engines' layers as TensorRT's inspector describes them: shapes that are published for 8.6 to 11, by Cask, Myelin and DLA.

Made after the inspector's documents in NVIDIA/TensorRT issues 3583 (Cask, TF32), 4020 (Int8, Reformat) and 4397 (Myelin, metadata), and the
TensorRT guide; no engine was run for them. Which shape TensorRT for RTX writes is published nowhere: it is held to the same.
"""

import pytest

from edgekd_runtime.artifact import Artifact
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.trt.inspected import engine_precisions, layer_precision, nodes, products, require_engine_precision

WORDS = {
    "fp16": ("Channel major FP16 format where channel % 8 == 0", "Half"),
    "fp32": ("Row major linear FP32", "Float"),
    "int8": ("Thirty-two wide channel vectorized row major Int8 format", "Int8"),
    "bf16": ("Channel major BF16 format where channel % 8 == 0", "BFloat16"),
}
DYNAMIC = "N/A due to dynamic shapes"


def artifact(precision, *kept):
    classes = ClassSet(tuple("ab"), default_palette(2))
    reduction = {"kept": dict.fromkeys(kept, "why")}
    return Artifact("m", "m", "none", (8, 8), "classes", precision, classes, (0.5,) * 3, (0.5,) * 3, 18, "", "", reduction=reduction)


def described(name, kind, formats, **more):
    """As the inspector writes a layer; `formats` are of its inputs."""
    tensors = [
        {"Name": f"{name}_{index}", "Location": "Device", "Dimensions": [1, 8, 8, 8], "Format/Datatype": each}
        for index, each in enumerate(formats)
    ]
    return {"Name": name, "LayerType": kind, "Inputs": tensors, "Outputs": tensors[:1], "StreamId": 0, **more}


def cask(precision, *names, dynamic=False):
    """10.3: a convolution with its weights' type, the nodes joined by a unit separator."""
    words, short = WORDS[precision]
    return described(
        " + ".join(names),
        "CaskConvolution",
        [DYNAMIC if dynamic else words],
        ParameterType="Convolution",
        Weights={"Type": short, "Count": 9408},
        Bias={"Type": "Float", "Count": 64},
        TacticName="",
        Metadata="\x1f".join(f"[ONNX Layer: {name}]" for name in names),
    )


def myelin(precision, *names, kind="gemm", tactic="", extra=()):
    """10.16 and 11.4: no weights, a name of its own."""
    metadata = "".join(f"[ONNX Layer: {name}]" for name in names)
    return described(f"__myl_{kind}_myl0_7", kind, [WORDS[precision][1], *extra], TacticName=tactic, Metadata=metadata)


KGEN = myelin("fp32", "/backbone/Conv", kind="kgen", tactic="__myl_CastMulAddConv_0xf16f16ff9f104bbb1655b0183afb47")
"""Normalisation and casts, which stay in FP32 and carry the metadata of the node that they were fused around."""
REFORMAT = described("Reformatting CopyNode", "Reformat", [WORDS["fp32"][0]], Metadata="")
GOOD = {
    "fp16": [
        [cask("fp16", "a", "relu")],
        [myelin("fp16", "a")],
        [myelin("fp16", "a", kind="fusion", tactic="sm80_xmma_fprop_implicit_gemm_f16f16_f16f32_f32")],
    ],
    "bf16": [[cask("bf16", "a")], [myelin("bf16", "a")]],
    "int8": [
        [cask("int8", "a")],
        [myelin("int8", "a", kind="fusion", tactic="sm80_xmma_gemm_i8i8_i8i32_f32_tn", extra=("Float",))],
        [myelin("int8", "a", extra=("Float", "Half"))],
    ],
}


@pytest.mark.parametrize("precision, layers", [(precision, layers) for precision, each in GOOD.items() for layers in each])
def test_good_engines_pass(precision, layers):
    assert require_engine_precision([REFORMAT, KGEN, *layers], artifact(precision)) == ()
    assert engine_precisions([REFORMAT, KGEN, *layers]) == {precision: 1}


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8", "int8-fp16"])
@pytest.mark.parametrize(
    "silent",
    [
        cask("fp32", "conv1", "relu"),
        cask("fp32", "conv1", dynamic=True),
        myelin("fp32", "conv1"),
        myelin("fp32", "conv1", kind="fusion", tactic="sm80_xmma_gemm_f32f32_tf32f32_f32_nn_n_tilesize64x128x16"),
        described("conv1", "CaskGemmConvolution", [DYNAMIC], TacticName="ampere_scudnn_128x64_relu_medium_nn_v1"),
    ],
)
def test_bad_engines_are_refused_unless_the_layer_is_kept(precision, silent):
    lower = "int8" if precision.startswith("int8") else precision
    layers = [KGEN, cask(lower, "conv10"), silent]
    for kept in ((), ("conv10",), ("conv",)):  # another layer whose name contains it, or is contained in it
        with pytest.raises(EdgeKDError, match=r"in fp32 \(1 such layers\)"):
            require_engine_precision(layers, artifact(precision, *kept))
    assert require_engine_precision(layers, artifact(precision, "conv1")) == ()
    assert require_engine_precision(layers, artifact("fp32")) == ()


def test_int8_that_is_nowhere_is_refused():
    with pytest.raises(EdgeKDError, match=r"no layer of m in int8 \(1 in fp16\)"):
        require_engine_precision([cask("fp16", "a")], artifact("int8-fp16"))


def test_what_the_inspector_does_not_tell_is_said_and_not_refused():
    untold = described("a", "CaskConvolution", [DYNAMIC], TacticName="", Metadata="[ONNX Layer: a]")
    (said,) = require_engine_precision([untold, cask("fp16", "b")], artifact("fp16"))
    assert said.startswith("what 1 of its 2 weighted layers work in can't be checked")
    mixed = myelin("fp16", "a", extra=("Float",))
    assert layer_precision(mixed) == "unknown" and require_engine_precision([mixed], artifact("fp16"))


@pytest.mark.parametrize("layers", [[], [described("{ForeignNode[a...b]}", "DLA", [WORDS["fp16"][0]])], [REFORMAT]])
def test_an_engine_without_a_layer_that_tells(layers):
    """On a DLA, or built by others with names only."""
    (said,) = require_engine_precision(layers, artifact("fp16"))
    assert "can't be checked" in said and ("DLA" in said) == any(layer["LayerType"] == "DLA" for layer in layers)


def test_bfloat16_is_no_float_and_a_dynamic_type_no_half():
    assert layer_precision(myelin("bf16", "a")) == "bf16"
    assert layer_precision(described("a", "gemm", [DYNAMIC])) == "unknown"


def test_the_nodes_of_a_layer():
    assert nodes(cask("fp16", "a", "b")) == nodes(myelin("fp16", "a", "b")) == {"a", "b"}
    assert nodes({"Name": "a + b"}) == {"a", "b"}
    assert products([KGEN, REFORMAT, described("c", "Convert", ["Float"])]) == []
