"""The chain from the command line, and what each verb says when something is wrong."""

import copy
import html.parser
import json

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgekd_runtime.video import VideoReader, video_writer
from tests.conftest import write_pair
from tests.runtime.models import write_model


@pytest.fixture
def run(tmp_path, tiny_file, edgekd):
    """A trained baseline on drawn streets."""
    edgekd("train", "--recipe", tiny_file, "--out", tmp_path / "run")
    return tmp_path / "run"


def test_the_whole_chain(tmp_path, tiny_file, edgekd):
    edgekd("train", "--recipe", tiny_file, "--part", "teacher", "--out", tmp_path / "teacher")
    more = ["--dump-difficulty", 2, "--out", tmp_path / "student"]
    said = edgekd("distill", "--recipe", tiny_file, "--method", "rdd", "--teacher", tmp_path / "teacher", *more)
    assert f"Next: edgekd export {tmp_path / 'student'}" in said.stderr
    assert [cv2.imread(str(file)).shape for file in sorted((tmp_path / "student/difficulty").iterdir())] == [(48, 4 * 64, 3)] * 2
    lower = ["--precision", "fp32,fp16,int8", "--calib-images", 4, "--parity-images", 2]
    exported = json.loads(edgekd("export", tmp_path / "student", *lower, "--json").stdout)
    assert [one["precision"] for one in exported] == ["fp32", "fp16", "int8"] and exported[0]["method"] == "rdd"
    model = tmp_path / "student/export/fp32/model.onnx"
    of_run = json.loads(edgekd("eval", tmp_path / "student", "--json").stdout)
    of_file = json.loads(edgekd("eval", model, "--json").stdout)
    assert of_file["miou"] == pytest.approx(of_run["miou"], abs=2e-3) and of_run["images"] == 16
    backends = ["--backend", "onnxruntime-cpu", "--backend", "openvino"]
    everything = json.loads(edgekd("bench", tmp_path / "student/export", *backends, "--seconds", "0.2", "--json").stdout)
    assert [one["backend"] for one in everything] == ["onnxruntime-cpu", "openvino"] * 3
    measured = next(one for one in everything if one["path"] == str(model))
    assert measured["accuracy"]["miou"] == of_file["miou"]
    latency = measured["latency"]["network"]
    assert 0 < latency["min_ms"] <= latency["p50_ms"] <= latency["p99_ms"] <= latency["max_ms"] and latency["count"] >= 10
    with video_writer(tmp_path / "drive.mp4", 15, (48, 64)) as write:
        for index in range(5):
            write(np.full((48, 64, 3), 50 * index, np.uint8))
    edgekd("demo", tmp_path / "drive.mp4", "--model", model, "--out", tmp_path / "overlay.mp4")
    assert len(list(VideoReader(tmp_path / "overlay.mp4"))) == 5
    results = tmp_path / "student/export/bench.json"
    edgekd("report", results, "--out", tmp_path / "r.html", "--picture", tmp_path / "r.svg", "--samples", 2)
    html.parser.HTMLParser().feed((tmp_path / "r.html").read_text())
    assert (tmp_path / "r.html").read_text().count("<figure><img") == 2 * (2 + 3)  # image, label and three files
    both = ["--backend", "torch,onnxruntime-cpu", "--no-accuracy", "--seconds", 0.1, "--results", tmp_path / "both.json"]
    edgekd("bench", tmp_path / "student/best.safetensors", model, *both)
    document = json.loads((tmp_path / "both.json").read_text())
    other = copy.deepcopy(document["measurements"][1])
    other["artifact"]["sha256"] = "0" * 64
    other["path"] = str(write_model(tmp_path / "other", name="another"))
    document["measurements"].append(other)
    (tmp_path / "both.json").write_text(json.dumps(document))
    said = edgekd("report", tmp_path / "both.json", "--out", tmp_path / "both.html", "--samples", 1)
    assert (tmp_path / "both.html").read_text().count("<figure><img") == 2 + 2 and "it has other classes" in said.stderr
    document["measurements"] = []
    (tmp_path / "both.json").write_text(json.dumps(document))
    assert "There are no results" in edgekd("report", tmp_path / "both.json", "--samples", 1, code=2).stderr
    (tmp_path / "student/export/int8/model.onnx").unlink()
    assert "int8/model.onnx is not here" in edgekd("report", results, "--out", tmp_path / "r.html", "--samples", 2, code=1).stderr
    assert "<svg" in (tmp_path / "r.svg").read_text()


def test_flags_mean_the_model_that_is_trained(tmp_path, tiny_file, edgekd):
    import yaml

    options = ["--part", "teacher", "--student", "lraspp-resnet10t", "--steps", 2]
    edgekd("train", "--recipe", tiny_file, *options, "--out", tmp_path / "teacher")
    recipe = yaml.safe_load((tmp_path / "teacher/recipe.yaml").read_text())
    assert recipe["student"]["name"] == "lraspp-resnet10t" and recipe["train"]["steps"] == 2


def test_calibration_and_inspection(run, edgekd):
    edgekd("export", run, "--parity-images", 2)
    table = run / "export/calibration.json"
    said = edgekd("calib", "make", run, "--images", 4, "--method", "mse")
    assert f"--calib-table {table}" in said.stderr
    shown = json.loads(edgekd("calib", "show", table, "--json").stdout)
    assert shown["method"] == "mse" and len(shown["images"]) == 4 and all(scale > 0 for scale in shown["scales"].values())
    assert "highest" in edgekd("calib", "show", table).stdout
    both = ["--precision", "int8", "--target", "cpu,tensorrt"]
    edgekd("export", run, *both, "--calib-table", table, "--calib-images", 2, "--parity-images", 2)
    of_cpu = json.loads(edgekd("inspect", run / "export/int8/model.onnx", "--json").stdout)
    assert of_cpu["graph"]["tensorrt"] != [] and of_cpu["sidecar"]["target"] == "cpu"
    found = json.loads(edgekd("inspect", run / "export/int8-trt-source/model.onnx", "--json").stdout)
    assert found["graph"]["precisions"]["int8"] > 10 and found["graph"]["tensorrt"] == [] and found["sidecar"]["precision"] == "int8"
    assert "INT8 coverage" in edgekd("inspect", run / "export/int8/model.onnx", "--layers").stdout
    layers = json.loads(edgekd("calib", "sensitivity", run, "--table", table, "--images", 2, "--json").stdout)
    assert len(layers) > 10 and layers[0]["snr_db"] <= layers[-1]["snr_db"]
    assert "onnxruntime-cpu" in edgekd("check").stdout and json.loads(edgekd("check", "--json").stdout)["builders"]


def test_lists_as_json(edgekd):
    assert set(json.loads(edgekd("data", "layouts", "--json").stdout)) >= {"camvid", "folder", "streetscape"}
    methods = json.loads(edgekd("methods", "--json").stdout)
    assert methods["transfers"]["cwd"]["weight"] == 3.0
    cost = json.loads(edgekd("models", "fcn-resnet10t", "--imgsz", "64x96", "--num-classes", "5", "--json").stdout)["models"][0]
    assert cost["stride"] == 8 and cost["parameters_m"] > 1 and cost["gflops"] > 0
    assert "resnet10t" in edgekd("models", "--backbones", "resnet10*").stdout.split()


def test_flops_are_those_of_the_formula():
    from edgekd.models.cost import model_cost

    wide, narrow = (model_cost("fcn-resnet10t", 5, (64, width)).gflops for width in (128, 64))
    assert wide == pytest.approx(2 * narrow, rel=1e-6)


BAD = {
    "unknown verb": (2, ["trian"], "did you mean 'train'"),
    "unknown recipe": (2, ["train", "--recipe", "camvit"], "did you mean 'camvid'"),
    "unknown recipe key": (2, ["train", "--recipe", "{tiny}", "--set", "train.stepz=1"], "did you mean 'steps'"),
    "unknown model": (2, ["train", "--recipe", "{tiny}", "--student", "deeplabv3-resnet19"], "Unknown backbone 'resnet19'"),
    "unknown method": (2, ["distill", "--recipe", "{tiny}", "--method", "rrd"], "did you mean 'rdd'"),
    "a size of nothing": (2, ["train", "--recipe", "{tiny}", "--imgsz", "0x7"], "HEIGHTxWIDTH"),
    "a missing data folder": (1, ["train", "--recipe", "camvid", "--data-root", "/nowhere"], "No folder /nowhere/train"),
    "no data folder": (2, ["train", "--recipe", "camvid"], "--data-root"),
    "a missing teacher": (1, ["distill", "--recipe", "{tiny}", "--teacher", "/nowhere"], "No checkpoint at /nowhere"),
    "no run": (1, ["export", "{tmp}"], "is no run"),
    "no exported model": (1, ["bench", "{tmp}"], "edgekd export RUN"),
    "a missing video": (1, ["demo", "{tmp}/a.mp4", "--model", "{model}", "--out", "{tmp}/o.mp4"], "No video at"),
    "no video": (1, ["demo", "{tiny}", "--model", "{model}", "--out", "{tmp}/o.mp4"], "can't be opened as a video"),
    "an unknown video form": (1, ["demo", "{video}", "--model", "{model}", "--out", "{tmp}/o.gif"], "use one of .mp4"),
    "an unknown backend": (2, ["bench", "{model}", "--backend", "tensorflow"], "did you mean 'tensorrt'"),
    "no GPU": (3, ["bench", "{model}", "--backend", "onnxruntime-cuda"], "pip install 'onnxruntime-gpu"),
    "no GPU to train on": (3, ["train", "--recipe", "{tiny}", "--set", "train.accelerator=cuda"], "sees no GPU"),
    "no results": (1, ["report", "{tmp}/none.json"], "Can't read"),
    "data of no pictures": (2, ["report", "{other}", "--data-root", "."], "--data-root is for --samples"),
    "other results": (1, ["report", "{other}"], "is not a results file"),
    "parity missed": (4, ["export", "{run}", "--out", "{tmp}/o", "--max-logit-error", "0"], "was not written"),
    "an unknown precision": (2, ["export", "{run}", "--precision", "fp8"], "it takes fp32, fp16, bf16, int8"),
    "an unknown calibration": (2, ["calib", "make", "{run}", "--method", "minmx"], "did you mean 'minmax'"),
    "nothing to calibrate": (1, ["calib", "make", "{bare}"], "has no fp32 export"),
    "no table": (1, ["calib", "show", "{other}"], "is no calibration table"),
    "no TensorRT": (3, ["export", "{run}", "--trt", "--family", "tensorrt"], "pip install tensorrt"),
    "an option that does nothing": (2, ["export", "{run}", "--level", "5"], "--level does nothing without --trt"),
    "a backend for a run": (2, ["eval", "{run}", "--backend", "openvino"], "is a run, which PyTorch scores"),
    "no model to inspect": (1, ["inspect", "{tmp}/none.onnx"], "no such file"),
    "no ONNX file": (1, ["inspect", "{fake}"], "is no ONNX file"),
    "another kind of file": (2, ["inspect", "{other}"], "neither a .onnx nor a .engine"),
    "an engine for ONNX Runtime": (2, ["bench", "{model}", "--backend", "tensorrt"], "tensorrt runs .engine files only"),
    "nothing to fine-tune": (2, ["distill", "--recipe", "{tiny}", "--qat"], "give its run folder as --recipe"),
    "nothing to resume": (1, ["train", "--resume", "--out", "/nowhere/run"], "is no run"),
    "resume otherwise": (2, ["train", "--resume", "--out", "{run}", "--steps", "9"], "leave --steps out"),
    "a size below one": (2, ["train", "--recipe", "{tiny}", "--set", "data.size=[0,7]"], "data.size.0"),
    "every pixel kept": (2, ["distill", "--recipe", "{tiny}", "--method", "rdd", "--set", "task.min_kept=25000"], "set task.min_kept=153"),
    "another teacher than the method's": (2, ["distill", "--recipe", "{tiny}", "--method", "lad", "--teacher", "{run}"], "label-assisted"),
    "resume what": (2, ["train", "--resume"], "--out"),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Things that the bad calls are made on, made once."""
    from click.testing import CliRunner

    from edgekd.cli import main
    from edgekd.config import Recipe
    from edgekd.loading import dump_recipe, validate
    from tests.conftest import TINY

    tmp = tmp_path_factory.mktemp("bad")
    (tmp / "tiny.yaml").write_text(dump_recipe(validate(Recipe, TINY, "tiny")))
    (tmp / "other.json").write_text("{}")
    with video_writer(tmp / "v.avi", 15, (48, 64)) as write:
        write(np.zeros((48, 64, 3), np.uint8))
    (tmp / "fake.onnx").write_bytes(b"no model")
    home = tmp_path_factory.mktemp("run")
    for arguments in (["train", "--recipe", tmp / "tiny.yaml", "--steps", 1, "--out", home / "run"], ["export", home / "run"]):
        assert CliRunner().invoke(main, [str(argument) for argument in arguments]).exit_code == 0
    return {
        "tmp": tmp,
        "tiny": tmp / "tiny.yaml",
        "other": tmp / "other.json",
        "video": tmp / "v.avi",
        "run": home / "run",
        "bare": tmp,
        "fake": tmp / "fake.onnx",
        "model": home / "run/export/fp32/model.onnx",
    }


NEEDS_NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a GPU to be missing, and there is one")


@pytest.mark.parametrize("case", [pytest.param(case, marks=NEEDS_NO_GPU if "no GPU" in case else ()) for case in BAD])
def test_what_is_wrong_is_one_sentence_and_the_right_code(case, places, edgekd, monkeypatch):
    code, arguments, message = BAD[case]
    monkeypatch.chdir(places["tmp"])
    before = sorted(places["tmp"].rglob("*"))
    result = edgekd(*(argument.format(**places) for argument in arguments), code=code)
    assert message in result.stderr and "Traceback" not in result.output
    assert sorted(places["tmp"].rglob("*")) == before, "something was left behind"


def test_damaged_data_stops_training_by_name(camvid, edgekd, tmp_path):
    base = ["train", "--data-root", camvid, "--student", "lraspp-mobilenetv3_small_050", "--imgsz", "48x64", "--batch-size", 4]
    base += ["--set", "task.min_kept=153", "--steps", 4, "--set", "data.workers=0", "--set", "data.crop=null", "--set", "train.val_every=4"]
    edgekd(*base, "--out", tmp_path / "fine")
    cv2.imwrite(str(camvid / "trainannot/003.png"), np.full((48, 64), 200, np.uint8))
    assert "003.png has the label value 200" in edgekd(*base, "--out", tmp_path / "a", code=1).stderr
    (camvid / "trainannot/003.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    said = edgekd(*base, "--set", "data.workers=1", "--out", tmp_path / "b", code=1).stderr
    assert "003.png" in said and "Traceback" not in said and len(said.strip().splitlines()) < 4
    (camvid / "trainannot/003.png").unlink()
    assert "003.png has no mask" in edgekd(*base, "--out", tmp_path / "c", code=1).stderr


def test_a_checkpoint_of_another_class_count_or_kind(run, tmp_path, camvid, edgekd, tiny_file):
    common = ["distill", "--recipe", tiny_file, "--out", tmp_path / "out", "--set", "data.layout=camvid", "--set", "data.options={}"]
    said = edgekd(*common, "--data-root", camvid, "--teacher", run, code=1).stderr
    assert "predicts 9 classes but the data has 11" in said
    (tmp_path / "pickle.safetensors").write_bytes(b"\x80\x04.")
    assert (
        "not an edgekd checkpoint" in edgekd("distill", "--recipe", tiny_file, "--teacher", tmp_path / "pickle.safetensors", code=1).stderr
    )
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    assert (
        "not an edgekd checkpoint" in edgekd("distill", "--recipe", tiny_file, "--teacher", tmp_path / "other.safetensors", code=1).stderr
    )
    assert not (tmp_path / "out/last.pt").exists()


def test_a_full_disk_keeps_the_last_checkpoint(run, edgekd, monkeypatch):
    before = (run / "last.pt").read_bytes()

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    from edgekd.runs import Run

    with pytest.raises(Exception, match="No space left on device; choose another folder"):
        Run(run).save_state({})
    assert (run / "last.pt").read_bytes() == before and not list(run.glob(".last*"))


def test_data_of_ones_own(tmp_path, edgekd, tiny_file):
    for split in ("train", "val"):
        for index in range(4):
            label = np.kron(np.random.default_rng(index).integers(0, 3, (3, 4)), np.ones((16, 16), int))
            write_pair(tmp_path / f"own/images/{split}/{index}.png", tmp_path / f"own/masks/{split}/{index}.png", label, index)
    (tmp_path / "own/dataset.yaml").write_text("names: [a, b, c]\n")
    edgekd("data", "check", "folder", tmp_path / "own")
    options = ["--set", "data.layout=folder", "--set", "data.options={}", "--data-root", tmp_path / "own", "--steps", 2]
    edgekd("distill", "--recipe", tiny_file, *options, "--set", "teacher.steps=2", "--out", tmp_path / "out")
    card = (tmp_path / "out/README.md").read_text()
    assert all(f"| {name} |" in card for name in "abc") and "| road |" not in card
