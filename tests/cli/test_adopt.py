"""`edgekd adopt`: somebody's ONNX file becomes a model of this project."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgekd_runtime.backends import open_session
from edgekd_runtime.files import read_image
from edgekd_runtime.image import fit


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """A network for 11 classes at stride 2, BGR 0–255 minus a mean, with any batch and size, at an older opset."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 11, 1)
    )
    file = tmp_path_factory.mktemp("net") / "net.onnx"
    axes = {"image": {0: "n", 2: "h", 3: "w"}, "scores": {0: "n", 2: "h2", 3: "w2"}}
    names = {"input_names": ["image"], "output_names": ["scores"]}
    torch.onnx.export(module.eval(), (torch.zeros(1, 3, 48, 64),), file, dynamo=False, opset_version=13, dynamic_axes=axes, **names)
    return file


PREPARED = ["--imgsz", "48x64", "--mean", "0.4,0.5,0.6", "--std", "0.2,0.25,0.3", "--bgr", "--layout", "camvid"]


def test_it_says_what_the_original_says_and_goes_through_the_chain(tmp_path, net, camvid, edgekd):
    lower = ["--precision", "fp32,int8", "--calib-images", 2, "--json"]
    told = json.loads(edgekd("adopt", net, *PREPARED, "--data-root", camvid, "--out", tmp_path / "a", *lower).stdout)
    assert [one["precision"] for one in told] == ["fp32", "int8"] and told[0]["parity"]["pixel_agreement"] >= 0.999
    session = onnxruntime.InferenceSession(net)
    image = fit(read_image(camvid / "val/000.png"), (48, 64))
    x = ((image / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.3])[..., ::-1].astype(np.float32).transpose(2, 0, 1)[None]
    scores = torch.from_numpy(session.run(None, {"image": x})[0])
    expected = nn.functional.interpolate(scores, (48, 64), mode="bilinear", align_corners=True).argmax(1)[0].numpy()
    with open_session(tmp_path / "a/fp32/model.onnx") as adopted:
        assert (adopted.predict(image, (48, 64)) == expected).mean() >= 0.999
    measured = json.loads(edgekd("bench", tmp_path / "a", "--backend", "onnxruntime-cpu", "--seconds", 0.1, "--json").stdout)
    assert {one["artifact"]["method"] for one in measured} == {"adopted"} and all(one["accuracy"] for one in measured)
    edgekd("predict", camvid / "val", "--model", tmp_path / "a/int8", "--out", tmp_path / "masks")


def test_a_coarse_class_map_is_refused_and_its_scores_are_taken(tmp_path, net, camvid, edgekd):
    model = onnx.load(net)
    model.graph.node.append(onnx.helper.make_node("ArgMax", ["scores"], ["classes"], axis=1, keepdims=0))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("classes", onnx.TensorProto.INT64, None))
    onnx.save(model, tmp_path / "map.onnx")
    flags = [*PREPARED, "--data-root", camvid, "--out", tmp_path / "a", "--parity-images", 2]
    assert "--scores" in edgekd("adopt", tmp_path / "map.onnx", *flags, code=2).stderr
    edgekd("adopt", tmp_path / "map.onnx", *flags, "--scores", "scores")


def test_a_file_of_a_newer_onnx_than_the_runtime_reads_is_taken(tmp_path, net, camvid, edgekd):
    model = onnx.load(net)
    model.ir_version = 99
    (tmp_path / "new.onnx").write_bytes(model.SerializeToString())
    edgekd("adopt", tmp_path / "new.onnx", *PREPARED, "--data-root", camvid, "--out", tmp_path / "a", "--parity-images", 1)


def test_scores_that_a_simplifier_would_fold_away_are_taken(tmp_path, net, camvid, edgekd):
    """A copy of the scores, which no simplifier leaves there, before an output that turns them round."""
    model = onnx.load(net)
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.append(onnx.helper.make_node("Identity", ["raw"], ["copied"]))
    model.graph.node.append(onnx.helper.make_node("Neg", ["copied"], ["scores"]))
    onnx.save(model, tmp_path / "copied.onnx")
    image, maps = fit(read_image(camvid / "val/000.png"), (48, 64)), []
    for file, name in ((net, "scores"), (tmp_path / "copied.onnx", "raw"), (tmp_path / "copied.onnx", "copied")):
        out = tmp_path / f"{file.stem}-{name}"
        edgekd("adopt", file, *PREPARED, "--data-root", camvid, "--out", out, "--parity-images", 1, "--scores", name)
        with open_session(out / "fp32/model.onnx") as adopted:
            maps.append(adopted.predict(image, (48, 64)))
    assert (maps[1] == maps[0]).all() and (maps[2] == maps[0]).all()


@pytest.mark.parametrize(
    ("kind", "says"), [("argmax", "gives 11 classes but the data has 3"), ("opaque", "gives the class 9 but the data has 3")]
)
def test_a_class_map_of_other_classes_is_refused(kind, says, tmp_path, net, camvid, edgekd):
    model = onnx.load(net)
    made = {
        "argmax": [onnx.helper.make_node("ArgMax", ["grown"], ["classes"], axis=1, keepdims=0)],
        "opaque": [
            onnx.helper.make_node("ReduceMax", ["grown", "axis"], ["most"], keepdims=0),
            onnx.helper.make_node("Mul", ["most", "zero"], ["none"]),
            onnx.helper.make_node("Add", ["none", "nine"], ["classes"]),
        ],
    }[kind]
    model.graph.node.append(onnx.helper.make_node("Resize", ["scores", "", "twice"], ["grown"], mode="nearest"))
    model.graph.node.extend(made)
    values = {"twice": np.array([1, 1, 2, 2], np.float32), "axis": np.array([1]), "zero": np.float32(0), "nine": np.float32(9)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in values.items())
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info("classes", onnx.TensorProto.INT64 if kind == "argmax" else onnx.TensorProto.FLOAT, None)
    )
    model.opset_import[0].version = 18
    onnx.save(model, tmp_path / "map.onnx")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/dataset.yaml").write_text(
        "names: [a, b, c]\nmapping: {0: 0, 1: 1, 2: 2, 3: 0, 4: 0, 5: 0, 6: 0, 7: 0, 8: 0, 9: 0, 10: 0, 11: 0}\n"
    )
    for split in ("train", "val"):
        (tmp_path / "data" / split).mkdir()
        (tmp_path / "data" / split / "images").symlink_to(camvid / split)
        (tmp_path / "data" / split / "masks").symlink_to(camvid / f"{split}annot")
    flags = ["--imgsz", "48x64", "--layout", "folder", "--data-root", tmp_path / "data", "--out", tmp_path / "a", "--parity-images", 1]
    assert says in edgekd("adopt", tmp_path / "map.onnx", *flags, code=2).stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"--imgsz": "48"}, "HEIGHTxWIDTH"),
        ({"--mean": "1,2"}, "three numbers"),
        ({"--std": "0,1,1"}, "positive"),
        ({"--scores": "logits"}, "no tensor 'logits'; its outputs are scores"),
        ({"--layout": "voc"}, "voc"),
    ],
)
def test_what_does_not_fit(change, says, tmp_path, net, camvid, edgekd):
    given = {"--imgsz": "48x64", "--layout": "camvid"}
    flags = [word for pair in (given | change).items() for word in pair]
    result = edgekd("adopt", net, *flags, "--data-root", camvid, "--out", tmp_path / "a", code=2 if "--layout" not in change else 1)
    assert says in result.stderr.replace("VOC", "voc") and not (tmp_path / "a").exists()


def test_other_verbs_name_the_command(net, edgekd):
    assert "edgekd adopt" in edgekd("bench", net, "--no-accuracy", code=1).stderr
