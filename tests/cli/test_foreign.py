"""Networks from elsewhere from the command line: as teachers by one flag, as students through the whole chain and in a new process."""

import json
import subprocess
import sys

import pytest
import torch
import yaml

from edgekd.config import ModelRecipe
from edgekd.models import build_network
from edgekd.runs import Run

UNET = {"encoder_name": "mobilenet_v2", "encoder_weights": None, "decoder_channels": [16, 16, 16, 8, 8]}
SEGFORMER = {"hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16, "depths": [1, 1, 1, 1], "num_labels": 9}


@pytest.fixture(scope="module")
def segformer(tmp_path_factory):
    """A small SegFormer of random weights, in HuggingFace's form."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    folder = tmp_path_factory.mktemp("hf") / "segformer"
    SegformerForSemanticSegmentation(SegformerConfig(**SEGFORMER)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A small network as TorchScript and ONNX file."""
    folder = tmp_path_factory.mktemp("files")
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 9, 1)).eval()
    image = torch.zeros(1, 3, 48, 64)
    torch.jit.trace(module, image).save(folder / "net.pt")
    torch.onnx.export(module, (image,), folder / "net.onnx", dynamo=True, verbose=False)
    return folder


def options(where: str, values: dict) -> list[str]:
    return ["--set", f"{where}.options={yaml.safe_dump(values, default_flow_style=True).strip()}"]


TEACHERS = {
    "torchvision": [
        "--teacher",
        "torchvision.models.segmentation:deeplabv3_resnet101",
        *options("teacher.source", {"weights_backbone": None}),
    ],
    "smp": ["--teacher", "segmentation_models_pytorch:Unet", *options("teacher.source", UNET)],
    "huggingface": ["--teacher", "hf:SEGFORMER"],
    "torchscript": ["--teacher", "FILES/net.pt", "--trust"],
    "onnx": ["--teacher", "FILES/net.onnx"],
}


@pytest.mark.parametrize("kind", TEACHERS)
def test_a_teacher_is_one_flag(kind, tmp_path, tiny_file, segformer, files, edgekd):
    named = [word.replace("SEGFORMER", str(segformer)).replace("FILES", str(files)) for word in TEACHERS[kind]]
    edgekd(
        "distill", "--recipe", tiny_file, "--steps", 2, "--method", "cwd", *named, "--out", tmp_path / "run", "--set", "train.log_every=1"
    )
    losses = [record["parts"]["cwd"] for record in Run(tmp_path / "run").history() if "parts" in record]
    assert losses and all(loss > 0 for loss in losses)


def test_features_of_a_teacher_by_the_name_of_a_module(tmp_path, tiny_file, edgekd):
    base = ["distill", "--recipe", tiny_file, "--steps", 1, "--method", "fitnet", *TEACHERS["smp"], "--out", tmp_path / "run"]
    assert "name the module" in edgekd(*base, code=2).stderr
    edgekd(*base, "--set", "teacher.source.features=decoder")


def test_a_teacher_of_other_classes(tmp_path, tiny_file, edgekd):
    from edgekd.data.streetscape.classes import CLASSES

    names = CLASSES.names
    mapped = {name: index for index, name in enumerate(names)} | {names[0]: [0, 3], names[1]: None}
    base = ["distill", "--recipe", tiny_file, "--steps", 2, "--out", tmp_path / "run"]
    teacher = ["--teacher", "tests.models.own:Net", *options("teacher.source", {"classes": 12}), "--set", "teacher.source.logits=scores"]
    assert "12 classes but the data has" in edgekd(*base, "--method", "cwd", *teacher, code=2).stderr
    classes = ["--set", f"teacher.classes={json.dumps(mapped)}", "--set", "teacher.scale=1.5"]
    assert "each class" in edgekd(*base, "--method", "rdd", "--set", "task.difficulty_map=confidence", *teacher, *classes, code=2).stderr
    edgekd(*base, "--method", "fakd", *teacher, *classes)


STUDENTS = {
    "smp": ["--student", "segmentation_models_pytorch:Unet", *options("student", UNET)],
    "torchvision": [
        "--student",
        "torchvision.models.segmentation:lraspp_mobilenet_v3_large",
        *options("student", {"weights_backbone": None}),
    ],
    "huggingface": ["--student", "hf:SEGFORMER"],
}


@pytest.mark.parametrize("kind", STUDENTS)
def test_a_student_goes_through_the_whole_chain(kind, tmp_path, tiny_file, segformer, edgekd):
    named = [word.replace("SEGFORMER", str(segformer)) for word in STUDENTS[kind]]
    short = ["--recipe", tiny_file, *named, "--steps", 4, "--set", "train.val_every=2", "--set", "train.lr=0.001"]
    run, cut = tmp_path / "run", tmp_path / "cut"
    edgekd("train", *short, "--out", run)
    # a run that was cut off after step 2 goes on bit for bit
    state = torch.load(run / "last.pt", weights_only=True)
    assert _cut_off(edgekd, short, cut)["step"] == 2
    edgekd("train", "--resume", "--out", cut)
    resumed = torch.load(cut / "last.pt", weights_only=True)
    assert state["step"] == resumed["step"] == 4
    assert all(torch.equal(value, resumed["objective"][key]) for key, value in state["objective"].items())
    # in a new process, with no folder to load from
    if kind == "huggingface":
        segformer = segformer.rename(segformer.with_name("moved"))
    command = [
        sys.executable,
        "-m",
        "edgekd",
        "export",
        run,
        "--precision",
        "fp32,int8",
        "--calib-images",
        2,
        "--parity-images",
        2,
        "--json",
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if kind == "huggingface":
        segformer.rename(segformer.with_name("segformer"))
    assert done.returncode == 0, done.stderr
    parity = json.loads(done.stdout)[0]["parity"]
    assert parity["pixel_agreement"] >= 0.999 and parity["logit_error"] <= 1e-3
    measured = edgekd("bench", run / "export", "--backend", "onnxruntime-cpu", "--seconds", 0.1, "--images", 2, "--json").stdout
    assert {one["artifact"]["precision"] for one in json.loads(measured)} == {"fp32", "int8"}
    edgekd("bundle", run, "--out", tmp_path / "net.pyz", "--images", 1)
    if kind == "smp":
        told = json.loads(edgekd("eval", run, "--json").stdout)
        assert told["miou"] == pytest.approx(json.loads(edgekd("eval", run / "export/fp32/model.onnx", "--json").stdout)["miou"], abs=2e-3)
        edgekd("report", run / "export/bench.json", "--out", tmp_path / "r.html")
        # rounded while it trains, under the network that it was before
        tuned = ["--recipe", run, "--qat", "--teacher", run, "--method", "cwd", "--steps", 1, "--out", tmp_path / "qat"]
        edgekd("distill", *tuned)
        edgekd("export", tmp_path / "qat", "--precision", "int8", "--calib-images", 1, "--parity-images", 1)


def _cut_off(edgekd, short, folder):
    """The state of a run that was stopped after its second step."""
    from edgekd.train.loop import Trainer

    saved = Trainer._save

    def save(self):
        saved(self)
        if self.state.step == 2:
            raise KeyboardInterrupt

    Trainer._save = save
    try:
        edgekd("train", *short, "--out", folder, code=130)
    finally:
        Trainer._save = saved
    return torch.load(folder / "last.pt", weights_only=True)


def test_where_its_code_is_gone_a_run_says_what_is_missing(tmp_path, tiny_file, edgekd, monkeypatch):
    package = tmp_path / "code"
    package.mkdir()
    (package / "somebodys.py").write_text("from tests.models.own import Net\n")
    monkeypatch.syspath_prepend(str(package))
    edgekd(
        "train",
        "--recipe",
        tiny_file,
        "--steps",
        1,
        "--student",
        "somebodys:Net",
        "--set",
        "student.logits=scores",
        "--out",
        tmp_path / "run",
    )
    (package / "somebodys.py").unlink()
    sys.modules.pop("somebodys")
    assert "No module named 'somebodys'" in edgekd("export", tmp_path / "run", code=3).stderr


def test_a_compiled_file_is_no_student(tmp_path, tiny_file, files, edgekd):
    said = edgekd("train", "--recipe", tiny_file, "--student", files / "net.onnx", "--out", tmp_path / "run", code=2).stderr
    assert "can teach but not be trained" in said


def test_a_checkpoint_keeps_huggingfaces_configuration(segformer):
    network = build_network(ModelRecipe(name=f"hf:{segformer}"), 9)
    again = build_network(network.recipe, 9, pretrained=False)
    again.load_state_dict(network.state_dict())
    image = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(again.eval()(image).logits, network.eval()(image).logits)
