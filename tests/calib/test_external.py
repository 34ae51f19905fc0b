"""Weights that an ONNX file keeps in files beside it: found without onnx, hashed with it, and refused where no hash covers them."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd_calib.graph import graph_digest, load_graph
from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.external import external_files
from edgekd_runtime.files import sha256
from tests.runtime.models import write_model


def model(place, apart=False):
    """A model whose one large tensor is in a place that may hold one, its values in a file beside it or not."""

    def tensor(name):
        made = numpy_helper.from_array(np.arange(300, dtype=np.float32), name)
        if apart:
            onnx.external_data_helper.set_external_data(made, "weights.bin")
            made.ClearField("raw_data")
        return made

    given = helper.make_tensor_value_info("y", TensorProto.FLOAT, [300])
    if place == "initializer":
        nodes, weights = [helper.make_node("Identity", ["w"], ["y"])], [tensor("w")]
    elif place == "attribute":
        nodes, weights = [helper.make_node("Constant", [], ["y"], value=tensor("v"))], []
    else:
        branch = helper.make_graph([helper.make_node("Identity", ["inner"], ["b"])], "b", [], [given], [tensor("inner")])
        branch.output[0].name = "b"
        nodes = [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)]
        weights = [numpy_helper.from_array(np.array(True), "c")]
    return helper.make_model(helper.make_graph(nodes, "g", [], [given], weights))


@pytest.mark.parametrize("place", ["initializer", "attribute", "subgraph"])
def test_found_wherever_a_tensor_may_be(place, tmp_path):
    for apart, found in ((False, []), (True, ["weights.bin"])):
        (tmp_path / "a.onnx").write_bytes(model(place, apart).SerializeToString())
        assert external_files(tmp_path / "a.onnx") == found


def test_what_is_no_onnx_file_has_none(tmp_path):
    onnx.save(model("initializer"), tmp_path / "a.onnx", save_as_external_data=True, location="w", size_threshold=0)
    whole = (tmp_path / "a.onnx").read_bytes()
    for end in range(len(whole)):
        (tmp_path / "b.onnx").write_bytes(whole[:end])
        assert external_files(tmp_path / "b.onnx") in ([], ["w"])
    (tmp_path / "b.onnx").write_bytes(b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f")
    assert external_files(tmp_path / "b.onnx") == []


def test_the_digest_changes_with_them(tmp_path):
    file = tmp_path / "a.onnx"
    onnx.save(model("initializer"), file, save_as_external_data=True, location="w", size_threshold=0)
    before = graph_digest(file)
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[::-1])
    assert graph_digest(file) != before != sha256(file)
    (tmp_path / "w").unlink()
    with pytest.raises(EdgeKDError, match=r"a\.onnx keeps weights in another file, which can't be read .*put that beside it"):
        load_graph(file)


def test_a_model_of_ours_has_none_and_one_that_has_is_refused(tmp_path):
    file = write_model(tmp_path / "fp32")
    load_artifact(file)
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="w", size_threshold=0)
    about = json.loads(file.with_name("model.json").read_text())
    file.with_name("model.json").write_text(json.dumps(about | {"sha256": sha256(file)}))
    with pytest.raises(EdgeKDError, match=r"model\.onnx keeps weights in another file, 'w', which the hash .* does not cover"):
        load_artifact(file)
