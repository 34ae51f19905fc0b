"""The one-file bundle, in a process that has neither PyTorch nor onnx nor an installed edgekd."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekd.data import open_layout
from edgekd.device import write_bundle
from edgekd_runtime.accuracy import score
from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.backends import open_session
from edgekd_runtime.bundle import KEPT, unpack
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.trt.api import installed_family
from edgekd_runtime.trt.cuda import no_gpu_reason
from edgekd_runtime.video import VideoReader, video_writer
from tests.runtime.models import write_model
from tests.test_house import BLOCKER, HOST

ALONE = Path(__file__).parents[2] / ".venv-runtime/bin/python"

ONE = ("--seconds", 0.1, "--backend", "onnxruntime-cpu")

RUN = """
import runpy
sys.argv[:1] = []
program = sys.argv[0]
try:
    runpy.run_path(program, run_name="__main__")
finally:
    assert sys.modules["edgekd_runtime"].__file__.startswith(program), sys.modules["edgekd_runtime"].__file__
"""


def on_device(bundle, *arguments, code=0):
    program = BLOCKER.format(forbidden=f"{HOST} onnx onnxscript onnxslim edgekd_calib".split(), modules=[]) + RUN
    command = [sys.executable, "-I", "-c", program, *(str(argument) for argument in (bundle, *arguments))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=bundle.parent, check=False)
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def bundle(tmp_path, exported):
    write_bundle([exported], tmp_path / "student.pyz")
    return tmp_path / "student.pyz"


def test_every_verb(bundle, cache, tmp_path):
    assert json.loads(on_device(bundle, "check", "--json").stdout)["backends"]["onnxruntime-cpu"]["usable"]
    said = on_device(bundle, "bench", *ONE, "--results", "-")
    (one,) = json.loads(said.stdout)["measurements"]
    assert one["backend"] == "onnxruntime-cpu" and one["path"].startswith(str(cache)) and one["accuracy"] is None and "p50" in said.stderr
    with video_writer(tmp_path / "in.mp4", 15, (40, 56)) as write:
        for index in range(4):
            write(np.full((40, 56, 3), 60 * index, np.uint8))
    on_device(bundle, "demo", tmp_path / "in.mp4", "--out", tmp_path / "out.mp4")
    assert len(list(VideoReader(tmp_path / "out.mp4"))) == 4


def test_a_demo_takes_a_model_by_its_name_and_has_a_default(tmp_path, exported):
    for name in ("fp32", "int8"):
        (tmp_path / "export" / name).mkdir(parents=True)
        (tmp_path / "export" / name / "model.onnx").write_bytes((exported / "fp32/model.onnx").read_bytes())
        replace(load_artifact(exported / "fp32/model.onnx"), name=f"m {name}", precision=name).save(tmp_path / "export" / name)
    write_bundle([tmp_path / "export"], tmp_path / "student.pyz")
    unpacked = unpack(tmp_path / "student.pyz")
    assert unpacked.model().parent.name == "fp32" and unpacked.model("int8").parent.name == "int8"
    with pytest.raises(UsageError, match=r"no model fp16; it has fp32, int8"):
        unpacked.model("fp16")
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((40, 56, 3), np.uint8))
    said = on_device(tmp_path / "student.pyz", "demo", tmp_path / "*.png", "--out", tmp_path / "out.avi").stderr
    assert "Model: fp32; the bundle also has int8 (--model NAME)" in said
    on_device(tmp_path / "student.pyz", "demo", tmp_path / "*.png", "--model", "int8", "--out", tmp_path / "out.avi")
    engine = unpacked.models / "0/int8-trt/model.engine"
    engine.parent.mkdir()
    engine.write_bytes(b"engine")
    assert unpacked.model() == engine == unpacked.model("int8-trt") and unpacked.model("int8").suffix == ".onnx"


def test_models_of_other_classes_are_not_scored_on_the_same_images(tmp_path):
    first = write_model(tmp_path / "a/fp32")
    second = write_model(tmp_path / "b/fp32")
    about = load_artifact(second)
    replace(about, classes=ClassSet(tuple(f"other {name}" for name in about.classes.names), about.classes.palette)).save(second.parent)
    with pytest.raises(UsageError, match="has other classes than"):
        write_bundle([first, second], tmp_path / "m.pyz", images=1)


def test_a_link_to_an_export_is_the_export(tmp_path):
    write_model(tmp_path / "run/export/fp32")
    (tmp_path / "latest").symlink_to(tmp_path / "run/export/fp32")
    assert len(write_bundle([tmp_path / "latest"], tmp_path / "m.pyz").models) == 1


def test_engines_are_built_once_into_the_cache(bundle, cache, tmp_path):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    engine = Path(on_device(bundle, "build", "--family", "tensorrt-rtx", "--level", 0).stdout.strip())
    assert engine.is_relative_to(cache) and engine.parts[-3:] == ("0", "fp32-trt", "model.engine")
    if no_gpu_reason() is None or installed_family() != "tensorrt-rtx":
        return
    written = engine.stat().st_mtime_ns
    said = on_device(bundle, "bench", "--trt", *ONE, "--results", tmp_path / "r.json", code=1).stderr
    assert "Not measured:" in said and "Error: 1 could not be measured" in said and engine.stat().st_mtime_ns == written
    assert [one["backend"] for one in json.loads((tmp_path / "r.json").read_text())["measurements"]] == ["onnxruntime-cpu"]


def test_the_same_input_gives_the_same_bytes(bundle, exported, tmp_path):
    write_bundle([exported], tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == bundle.read_bytes()


def test_unpacked_once_and_mended(bundle, exported):
    model = unpack(bundle).models / "0/fp32/model.onnx"
    assert model.read_bytes() == (exported / "fp32/model.onnx").read_bytes()
    first = model.stat()
    unpack(bundle)
    assert model.stat().st_ino == first.st_ino
    model.write_bytes(b"damaged")
    unpack(bundle)
    assert load_artifact(model).name == "m fp32"


def test_the_last_few_bundles_stay_in_the_cache(exported, cache, tmp_path):
    folders = []
    for number in range(KEPT + 2):
        model = write_model(tmp_path / f"run{number}/fp32", name=f"number {number}")
        write_bundle([model], tmp_path / "b.pyz")
        copied = cache / "bundles" / f"{number}.pyz"  # as a device gets it over ssh
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes((tmp_path / "b.pyz").read_bytes())
        folders.append(unpack(copied).folder)
        for used in (folders[-1], copied):
            os.utime(used, (1e9 + number, 1e9 + number))
        if number == KEPT - 1:
            unpack(copied.with_name("0.pyz"))  # used again: newer than all
    kept = {folders[0], folders[-1], folders[-2]}
    assert {folder for folder in folders if folder.exists()} == kept and len(set(folders)) == KEPT + 2
    assert sorted(file.name for file in copied.parent.glob("*.pyz")) == ["0.pyz", f"{KEPT}.pyz", f"{KEPT + 1}.pyz"]


@pytest.mark.skipif(not ALONE.exists(), reason="there is no environment without PyTorch (make test-runtime makes it)")
def test_every_verb_where_neither_torch_nor_onnx_was_ever_installed(bundle, tmp_path):
    def run(*arguments):
        done = subprocess.run([ALONE, "-I", bundle, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(run("check", "--json"))["backends"]["onnxruntime-cpu"]["usable"]
    assert "onnxruntime-cpu" in run("bench", "--seconds", "0.1")
    with video_writer(tmp_path / "in.mp4", 15, (40, 56)) as write:
        for index in range(4):
            write(np.full((40, 56, 3), 60 * index, np.uint8))
    assert "4 frames" in run("demo", str(tmp_path / "in.mp4"), "--out", str(tmp_path / "out.mp4"))


def test_a_damaged_file_is_refused(bundle, tmp_path):
    content = bytearray(bundle.read_bytes())
    with zipfile.ZipFile(bundle) as archive:
        content[archive.getinfo("models/0/fp32/model.onnx").header_offset + 5000] ^= 1
    bundle.write_bytes(content)
    said = on_device(bundle, "check", code=1).stderr
    assert said.startswith(f"Error: {bundle} is damaged")
    (tmp_path / "cut.pyz").write_bytes(content[:50000])
    with pytest.raises(EdgeKDError, match=r"cut\.pyz is damaged"):
        unpack(tmp_path / "cut.pyz")


def test_without_numpy_the_install_line_is_shown(bundle):
    done = subprocess.run([sys.executable, "-I", "-S", bundle, "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 3 and "pip install numpy opencv-python-headless" in done.stderr and "Traceback" not in done.stderr


def test_only_onnx_of_the_precisions_asked_for(exported, tmp_path):
    with pytest.raises(UsageError, match=r"No model in .* is int8"):
        write_bundle([exported], tmp_path / "a.pyz", precisions=["int8"])
    (tmp_path / "model.engine").write_bytes(b"")
    with pytest.raises(EdgeKDError, match=r"holds no model\.onnx"):
        write_bundle([tmp_path / "model.engine"], tmp_path / "a.pyz")
    assert not (tmp_path / "a.pyz").exists()


def test_models_of_one_name_stay_apart(exported, tmp_path):
    file = exported / "fp32/model.onnx"
    write_bundle([exported, exported / "fp32", file], tmp_path / "a.pyz")
    with zipfile.ZipFile(tmp_path / "a.pyz") as archive:
        models = [name for name in archive.namelist() if name.endswith(".onnx")]
    assert models == [f"models/{number}/fp32/model.onnx" for number in range(3)]


def test_images_inside_measure_what_the_host_measures(tmp_path, camvid, exported):
    folder = tmp_path / "fp32"
    folder.mkdir()
    (folder / "model.onnx").write_bytes((exported / "fp32/model.onnx").read_bytes())
    layout = open_layout("camvid", "val", str(camvid))
    data = {"layout": "camvid", "split": "val", "root": str(camvid), "options": {}}
    replace(load_artifact(exported / "fp32/model.onnx"), classes=layout.classes, data=data).save(folder)
    made = write_bundle([folder], tmp_path / "student.pyz", images=3)
    assert (made.images, made.data) == (3, "camvid val")
    inside = unpack(made.file)
    second = layout.read(layout.spread(3)[1])
    assert (inside.sample(1)[0] == second.image).all() and (inside.sample(1)[1] == second.label).all()
    said = on_device(made.file, "bench", *ONE, "--results", tmp_path / "r.json").stdout
    (one,) = json.loads((tmp_path / "r.json").read_text())["measurements"]
    with open_session(folder / "model.onnx") as session:
        expected = score(session.predict, [layout.read(index) for index in layout.spread(3)], 11)
    assert one["images"] == 3 and one["accuracy"]["miou"] == pytest.approx(expected.miou, abs=1e-6) and "mIoU" in said
