"""`edgekd bench` of a run itself, in PyTorch, eager and compiled."""

import json

import numpy as np
import pytest
import torch

from edgekd.data import open_layout
from edgekd.export.onnx import write_onnx
from edgekd.loading import dump_recipe
from edgekd.measure import pytorch
from edgekd.measure.pytorch import model_files, register_torch
from edgekd.models import build_network, load_network
from edgekd.models.checkpoint import NetworkFile, save_network
from edgekd_runtime import harness
from edgekd_runtime.backends import describe, open_session, usable_backends
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError


@pytest.fixture
def run(tmp_path, tiny):
    """A run folder as training leaves it, but for the training."""
    register_torch()
    folder = tmp_path / "runs/student"
    folder.mkdir(parents=True)
    student = tiny.student.model_copy(update={"name": "lraspp-test_efficientnet"})
    (folder / "recipe.yaml").write_text(dump_recipe(tiny.model_copy(update={"student": student})))
    classes = open_layout("streetscape", "val", None, **tiny.data.options).classes
    model = build_network(student, len(classes), 3)
    save_network(folder / "best.safetensors", model.state_dict(), NetworkFile(student, classes, 3, 0.5))
    return folder


def exported(run):
    """The run's export beside its weights."""
    from dataclasses import replace

    from edgekd_runtime.files import sha256

    folder = run / "export/fp32"
    folder.mkdir(parents=True)
    artifact = describe(run / "best.safetensors")
    write_onnx(load_network(run)[0], artifact.size, "classes", folder / "model.onnx", {})
    replace(artifact, sha256=sha256(folder / "model.onnx")).save(folder)
    return folder / "model.onnx"


def test_the_rows_of_a_run_stand_beside_those_of_its_export(run, edgekd, tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "peak_memory", lambda *case: None)  # it has a test of its own
    file = exported(run)
    results = tmp_path / "r.json"
    flags = ("--backend", "torch,onnxruntime-cpu", "--threads", "1,2", "--seconds", 0.1, "--images", 4, "--results", results)
    edgekd("bench", run, *flags)
    rows = json.loads(results.read_text())["measurements"]
    assert [(one["backend"], one["threads"], one["path"]) for one in rows] == [
        *(("torch", count, str(run / "best.safetensors")) for count in (1, 2)),
        *(("onnxruntime-cpu", count, str(file)) for count in (1, 2)),
    ]
    # the same images through ONNX Runtime
    assert rows[0]["accuracy"]["miou"] == pytest.approx(rows[2]["accuracy"]["miou"], abs=1e-4) and rows[0]["images"] == 4
    assert rows[0]["artifact"]["classes"] == rows[2]["artifact"]["classes"] and rows[0]["size_bytes"] > 1000


def test_the_session_is_the_graph_that_ships(run):
    image = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3)).astype(np.uint8)
    with open_session(run / "best.safetensors", "torch", 1) as eager, open_session(exported(run), threads=1) as onnxruntime:
        given = [eager.run(image[index : index + 1]) for index in range(2)]
        assert (given[0] == onnxruntime.run(image[:1])).mean() > 0.999 and given[0].dtype == np.uint8
        assert np.array_equal(eager.run(image), np.concatenate(given))  # any number of images


class OneLayer(torch.nn.Module):
    """What `Deployed` does, with a network of one layer: the compiler takes half a minute for a real one."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 5, 3, padding=1)

    def forward(self, image):
        return self.layer(image.to(torch.float32).permute(0, 3, 1, 2)).argmax(1).to(torch.uint8)


def test_compiled_it_is_the_same(run, monkeypatch):
    model, artifact = OneLayer().eval(), describe(run / "best.safetensors")
    monkeypatch.setattr(pytorch, "_load", lambda checkpoint: (model, artifact))
    image = np.random.default_rng(0).integers(0, 256, (1, *artifact.size, 3)).astype(np.uint8)
    with open_session(run / "best.safetensors", "torch-compile", 1) as session:
        with torch.inference_mode():
            assert (session.run(image) == model(torch.from_numpy(image)).numpy()).mean() > 0.999
        assert isinstance(session._call, torch._dynamo.OptimizedModule) and session.backend == "torch-compile"


def test_memory_is_measured_in_a_process_that_knows_pytorch(run):
    assert harness.peak_memory(run / "best.safetensors", None, 1) > 100e6  # the library alone is more


def test_without_a_compiler_one_sentence_says_so(run, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(MissingError, match=r"no no-such-compiler here: sudo apt install g\+\+"):
        open_session(run / "best.safetensors", "torch-compile")
    assert not usable_backends()["torch-compile"][0] and usable_backends()["torch"][0]


def test_what_a_run_stands_for(run):
    checkpoint = run / "best.safetensors"
    assert model_files([run], ()) == model_files([run, checkpoint], ["torch"]) == [checkpoint]
    with pytest.raises(EdgeKDError, match="No exported model"):
        model_files([run], ["onnxruntime-cpu"])
    file = run / "export/fp32/model.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    assert model_files([run], ()) == model_files([run], ["openvino"]) == [file]
    assert model_files([run], ["torch", "openvino"]) == [checkpoint, file]
    assert model_files([run], ["torch"]) == [checkpoint]


def test_what_does_not_fit_is_told(run, tmp_path, tiny):
    with pytest.raises(UsageError, match=r"onnxruntime-cpu does not run .*best\.safetensors; use torch or"):
        open_session(run / "best.safetensors", "onnxruntime-cpu")
    (run / "recipe.yaml").unlink()
    with pytest.raises(EdgeKDError, match=r"recipe\.yaml"):
        describe(run / "best.safetensors")
