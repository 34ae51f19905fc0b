"""Export: equal to PyTorch through ONNX Runtime, accepted by TensorRT's own parser and builder."""

import json

import numpy as np
import onnx
import pytest

from edgekd import parts, pipeline
from edgekd.data import open_split
from edgekd.export.onnx import export_run
from edgekd.export.parity import ParityLimits, check_parity
from edgekd.models import load_network
from edgekd_calib.forms import FORMS
from edgekd_calib.graph import load_graph, run_graph
from edgekd_calib.half import to_half
from edgekd_calib.quantize import quantize
from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.backends import open_session
from edgekd_runtime.errors import EdgeKDError, GateError, UsageError
from edgekd_runtime.image import fit
from tests.calib.conftest import table_of

SIZE = (72, 104)


@pytest.fixture
def run(tmp_path, tiny):
    """A trained run."""
    recipe = parts.student_part(tiny)
    pipeline.train(recipe, tmp_path / "run")
    return tmp_path / "run", recipe


def test_an_exported_run_is_described_and_equal(run):
    folder, recipe = run
    out = folder / "export/fp32"
    artifact = export_run(folder, recipe, open_split(recipe), out, size=(64, 96), images=5)
    assert artifact == load_artifact(out / "model.onnx")
    assert artifact.size == (64, 96) and artifact.parity["images"] == 5
    assert artifact.parity["pixel_agreement"] >= 0.999 and artifact.parity["logit_error"] <= 1e-3
    assert sorted(path.name for path in out.iterdir()) == ["model.json", "model.onnx"]
    with open_session(out / "model.onnx") as session:
        image, label = open_split(recipe).read(0)
        class_map = session.predict(image, label.shape)
    assert class_map.shape == label.shape and class_map.dtype == np.uint8


def test_both_outputs_give_the_same_class_map(run):
    folder, recipe = run
    layout = open_split(recipe)
    maps = []
    for output in ("classes", "logits"):
        export_run(folder, recipe, layout, folder / output, output=output, images=2)
        with open_session(folder / output / "model.onnx") as session:
            maps.append(session.class_map(layout.read(1).image))
    assert (maps[0] == maps[1]).mean() > 0.999


def test_missed_parity_writes_nothing(run):
    folder, recipe = run
    with pytest.raises(GateError, match=r"model\.onnx was not written"):
        export_run(folder, recipe, open_split(recipe), folder / "out", images=2, limits=ParityLimits(logits=0.0))
    assert not (folder / "out").exists() and not list(folder.glob(".out*"))


def test_a_label_assisted_teacher_is_not_exported(tmp_path, tiny):
    lad = tiny.model_copy(update={"teacher": tiny.teacher.model_copy(update={"label_assisted": True})})
    recipe = parts.teacher_part(lad)
    pipeline.train(recipe, tmp_path / "run")
    assert load_network(tmp_path / "run")[1].in_channels == 4
    with pytest.raises(UsageError, match="label as input"):
        export_run(tmp_path / "run", recipe, open_split(recipe), tmp_path / "out")


def test_a_file_that_is_not_the_described_one_is_refused(run):
    folder, recipe = run
    out = folder / "export"
    export_run(folder, recipe, open_split(recipe), out, images=1)
    with (out / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(EdgeKDError, match="is not the file"):
        open_session(out / "model.onnx")
    document = json.loads((out / "model.json").read_text())
    del document["classes"]
    (out / "model.json").write_text(json.dumps(document))
    with pytest.raises(EdgeKDError, match=r"model\.json: classes is missing"):
        open_session(out / "model.onnx")


def first_image_for_all(model):
    """A fault that one image at a time can't show: every image of a batch gets the first one's answer."""
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == "image":
                node.input[index] = "first"
    taken = [
        onnx.helper.make_node("Shape", ["image"], ["shape"], name="shape"),
        onnx.helper.make_node("Gather", ["image", "zero"], ["one"], name="gather"),
        onnx.helper.make_node("Expand", ["one", "shape"], ["first"], name="expand"),
    ]
    nodes = [*taken, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0]), "zero"))
    return model


def test_batches_are_compared_with_pytorch_too(trained, tmp_path):
    run, recipe, (_, layout) = trained
    artifact = export_run(run, recipe, layout, tmp_path / "out", images=2, max_batch=3)
    assert artifact.parity["batch"] == 3 and artifact.parity["images"] == 2
    file, size = tmp_path / "out/model.onnx", artifact.size
    images = np.stack([fit(layout.read(index).image, size) for index in range(3)])
    fp32 = load_graph(file)
    table = table_of(fp32, [image[None] for image in images])
    for model in (fp32, to_half(fp32, "fp16"), *(quantize(fp32, table, form) for form in FORMS.values())):
        (together,), *apart = run_graph(model, [images, *images[:, None]], ["classes"], optimise=False)
        assert together.shape == (3, *size) and len(np.unique(together)) > 1
        assert (together == np.concatenate([one for (one,) in apart])).mean() > 0.999
    segmenter = load_network(run)[0]
    onnx.save(first_image_for_all(fp32), tmp_path / "first.onnx")
    found = [check_parity(segmenter, tmp_path / "first.onnx", size, layout, 2, lambda *done: None, batch) for batch in (1, 2)]
    assert found[0].pixel_agreement > 0.999 > found[1].pixel_agreement and found[1].logit_error > 0.01


def test_a_file_for_one_image_is_refused_as_one_for_batches(trained, tmp_path):
    run, recipe, (_, layout) = trained
    size = export_run(run, recipe, layout, tmp_path / "out", images=1).size
    with pytest.raises(EdgeKDError, match="ONNX Runtime can't run the graph on 2x48x64x3"):
        check_parity(load_network(run)[0], tmp_path / "out/model.onnx", size, layout, 2, lambda *done: None, 2)
