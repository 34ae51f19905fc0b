"""`python -m edgekd_runtime` in a process that has neither PyTorch nor onnx."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.video import VideoReader, video_writer
from tests.runtime.test_trt import export
from tests.test_house import BLOCKER, HOST

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("device") / "fp32"
    path.mkdir()
    export(path)
    return path


def device(*arguments, code=0):
    program = BLOCKER.format(forbidden=f"{HOST} onnx onnxscript onnxslim edgekd_calib".split(), modules=["edgekd_runtime.__main__"])
    program += "\nsys.exit(sys.modules['edgekd_runtime.__main__'].main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *(str(argument) for argument in arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT / "deploy", check=False)
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done


def test_check(folder):
    assert json.loads(device("check", "--json").stdout)["backends"]["onnxruntime-cpu"]["usable"]
    assert "onnxruntime-cuda" in device("check").stdout


def test_build(folder):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    said = device("build", folder / "model.onnx", "--family", "tensorrt-rtx", "--level", 1)
    engine = folder.with_name("fp32-trt") / "model.engine"
    assert said.stdout.strip() == str(engine) and load_artifact(engine).engine["options"]["level"] == 1


def test_bench_and_demo(folder, tmp_path):
    said = device(
        "bench", folder, "--backend", "onnxruntime-cpu", "--backend", "openvino", "--seconds", 0.2, "--results", tmp_path / "r.json"
    )
    assert [line.split()[2] for line in said.stdout.splitlines()] == ["onnxruntime-cpu", "openvino"]
    assert len(json.loads((tmp_path / "r.json").read_text())["measurements"]) == 2
    with video_writer(tmp_path / "in.mp4", 15, (40, 56)) as write:
        for index in range(4):
            write(np.full((40, 56, 3), 60 * index, np.uint8))
    device("demo", tmp_path / "in.mp4", "--model", folder, "--out", tmp_path / "out.mp4")
    assert len(list(VideoReader(tmp_path / "out.mp4"))) == 4


def test_what_is_wrong_is_one_sentence(folder, tmp_path):
    assert device("bench", tmp_path, code=1).stderr.startswith("Error: No exported model at")
    (tmp_path / "model.engine").write_bytes(b"")
    said = device("bench", tmp_path / "model.engine", code=1).stderr
    assert said.startswith("Error: Can't read") and "model.json" in said
