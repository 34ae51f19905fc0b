"""Export: equal to PyTorch through ONNX Runtime, accepted by TensorRT's own parser and builder."""

import json

import numpy as np
import onnx
import pytest
import torch
from torch.nn import functional as F

from edgekd import pipeline
from edgekd.export.onnx import OPSET, export_run, write_onnx
from edgekd.export.parity import ParityLimits
from edgekd.models import Segmenter, load_segmenter
from edgekd.models.heads import HEADS
from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.backends import open_session
from edgekd_runtime.errors import EdgeKDError, GateError, UsageError

SIZE = (72, 104)


@pytest.fixture
def run(tmp_path, tiny):
    """A trained run."""
    recipe = pipeline.student_part(tiny)
    pipeline.train(recipe, tmp_path / "run")
    return tmp_path / "run", recipe


def build_with_tensorrt(file):
    """Errors of TensorRT for RTX's parser, or the size of the engine that it built. No GPU is needed for either."""
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(file)):
        return [str(parser.get_error(index)) for index in range(parser.num_errors)]
    engine = builder.build_serialized_network(network, builder.create_builder_config())
    return engine.nbytes if engine is not None else ["the builder gave no engine"]


@pytest.mark.parametrize("backbone", ["resnet10t", "mobilenetv3_small_050"])
@pytest.mark.parametrize("head", HEADS)
def test_every_head_runs_in_onnxruntime_and_builds_in_tensorrt(tmp_path, head, backbone):
    import onnxruntime

    torch.manual_seed(0)
    model = Segmenter(f"{head}-{backbone}", 5, output_stride=16, head_channels=16).eval()
    image = np.random.default_rng(0).integers(0, 256, (1, *SIZE, 3)).astype(np.uint8)
    with torch.inference_mode():
        logits = model(model.normalize(torch.from_numpy(image).permute(0, 3, 1, 2))).logits
        expected = F.interpolate(logits, SIZE, mode="bilinear", align_corners=True).numpy()
    for output in ("classes", "logits"):
        file = tmp_path / f"{output}.onnx"
        write_onnx(model, SIZE, output, file, {"made": "here"})
        graph = onnx.load(file)
        onnx.checker.check_model(graph, full_check=True)
        assert graph.opset_import[0].version == OPSET and graph.metadata_props[0].value == "here"
        assert not any("auxiliary" in initializer.name for initializer in graph.graph.initializer)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        assert [session.get_inputs()[0].type, session.get_inputs()[0].shape] == ["tensor(uint8)", [1, *SIZE, 3]]
        (given,) = session.run(None, {"image": image})
        if output == "logits":
            assert np.abs(given - expected).max() / np.abs(expected).max() < 1e-3
        else:
            assert given.dtype == np.uint8 and given.shape == (1, *SIZE) and (given == expected.argmax(1)).mean() >= 0.999
    assert isinstance(build_with_tensorrt(tmp_path / "classes.onnx"), int)


def test_tensorrt_refuses_what_we_avoid(tmp_path):
    """The check above can fail: a transpose of uint8 before the cast is rejected."""
    helper, proto = onnx.helper, onnx.TensorProto
    nodes = [helper.make_node("Transpose", ["image"], ["t"], perm=[0, 3, 1, 2]), helper.make_node("Cast", ["t"], ["y"], to=proto.FLOAT)]
    graph = helper.make_graph(
        nodes,
        "uint8 transpose",
        [helper.make_tensor_value_info("image", proto.UINT8, (1, 8, 8, 3))],
        [helper.make_tensor_value_info("y", proto.FLOAT, (1, 3, 8, 8))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10), tmp_path / "bad.onnx")
    assert isinstance(build_with_tensorrt(tmp_path / "bad.onnx"), list)


def test_an_exported_run_is_described_and_equal(run):
    folder, recipe = run
    out = folder / "export/fp32"
    artifact = export_run(folder, recipe, pipeline.open_split(recipe), out, size=(64, 96), images=5)
    assert artifact == load_artifact(out / "model.onnx")
    assert artifact.size == (64, 96) and artifact.parity["images"] == 5
    assert artifact.parity["pixel_agreement"] >= 0.999 and artifact.parity["logit_error"] <= 1e-3
    assert sorted(path.name for path in out.iterdir()) == ["model.json", "model.onnx"]
    with open_session(out / "model.onnx") as session:
        image, label = pipeline.open_split(recipe).read(0)
        class_map = session.predict(image, label.shape)
    assert class_map.shape == label.shape and class_map.dtype == np.uint8


def test_both_outputs_give_the_same_class_map(run):
    folder, recipe = run
    layout = pipeline.open_split(recipe)
    maps = []
    for output in ("classes", "logits"):
        export_run(folder, recipe, layout, folder / output, output=output, images=2)
        with open_session(folder / output / "model.onnx") as session:
            maps.append(session.class_map(layout.read(1).image))
    assert (maps[0] == maps[1]).mean() > 0.999


def test_missed_parity_writes_nothing(run):
    folder, recipe = run
    with pytest.raises(GateError, match=r"model\.onnx was not written"):
        export_run(folder, recipe, pipeline.open_split(recipe), folder / "out", images=2, limits=ParityLimits(logits=0.0))
    assert not (folder / "out").exists() and not list(folder.glob(".out*"))


def test_a_label_assisted_teacher_is_not_exported(tmp_path, tiny):
    lad = tiny.model_copy(update={"teacher": tiny.teacher.model_copy(update={"label_assisted": True})})
    recipe = pipeline.teacher_part(lad)
    pipeline.train(recipe, tmp_path / "run")
    assert load_segmenter(tmp_path / "run")[1].in_channels == 4
    with pytest.raises(UsageError, match="label as input"):
        export_run(tmp_path / "run", recipe, pipeline.open_split(recipe), tmp_path / "out")


def test_a_file_that_is_not_the_described_one_is_refused(run):
    folder, recipe = run
    out = folder / "export"
    export_run(folder, recipe, pipeline.open_split(recipe), out, images=1)
    with (out / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(EdgeKDError, match="is not the file"):
        open_session(out / "model.onnx")
    document = json.loads((out / "model.json").read_text())
    del document["classes"]
    (out / "model.json").write_text(json.dumps(document))
    with pytest.raises(EdgeKDError, match=r"model\.json is incomplete"):
        open_session(out / "model.onnx")
