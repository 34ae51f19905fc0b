"""`python -m edgekd_runtime` in a process that has neither PyTorch nor onnx."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.backends import usable_backends
from edgekd_runtime.cli import bench, main
from edgekd_runtime.cli.build import engine_folder
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import write_image
from edgekd_runtime.video import VideoReader, video_writer
from tests.runtime.models import write_model
from tests.runtime.test_power import ORIN_NANO, tool
from tests.test_house import BLOCKER, HOST

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("device") / "fp32").parent


def device(*arguments, code=0):
    program = BLOCKER.format(forbidden=f"{HOST} onnx onnxscript onnxslim edgekd_calib".split(), modules=["edgekd_runtime.cli"])
    program += "\nsys.exit(sys.modules['edgekd_runtime.cli'].main(sys.argv[1:]))"
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
    usable = [name for name in ("onnxruntime-cpu", "openvino") if usable_backends()[name][0]]
    flags = [word for name in usable for word in ("--backend", name)]
    said = device("bench", folder, *flags, "--seconds", 0.2, "--results", tmp_path / "r.json")
    lines = said.stdout.splitlines()
    assert [line.split()[2] for line in lines[: len(usable)]] == usable
    assert len(lines) == len(usable) + (len(usable) > 1) and lines[-1].startswith(("Ship", "Too noisy", "tiny"))
    assert len(json.loads((tmp_path / "r.json").read_text())["measurements"]) == len(usable)
    with video_writer(tmp_path / "in.mp4", 15, (40, 56)) as write:
        for index in range(4):
            write(np.full((40, 56, 3), 60 * index, np.uint8))
    device("demo", tmp_path / "in.mp4", "--model", folder, "--out", tmp_path / "out.mp4", "--smooth", 0.8, "--opacity", 0)
    assert len(list(VideoReader(tmp_path / "out.mp4"))) == 4


@pytest.mark.parametrize(
    "flags",
    [("--seconds", "nan"), ("--seconds", 0), ("--threads", -1), ("--batch", 0), ("--idle-seconds", -1)],
)
def test_numbers_that_cannot_be_are_refused(flags, folder):
    assert f"argument {flags[0]}: " in device("bench", folder, *flags, code=2).stderr


@pytest.mark.parametrize("verb", ["bench", "demo", "predict"])
def test_more_threads_than_any_cpu_has_use_for_are_refused(verb, folder, tmp_path, capsys):
    """ONNX Runtime would start them all."""
    write_image(tmp_path / "a.png", np.zeros((40, 56, 3), np.uint8))
    there = {
        "bench": [folder, "--backend", "onnxruntime-cpu"],
        "demo": [tmp_path, "--model", folder, "--out", tmp_path / "out.avi"],
        "predict": [tmp_path, "--model", folder, "--out", tmp_path / "out"],
    }[verb]
    words = [verb, *map(str, there), "--threads", "100000"]
    assert main(words) == 2 and "100000 threads are more than the 1024" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.avi").exists()


def test_an_idle_power_without_a_meter(folder):
    assert "--idle-seconds needs --power" in device("bench", folder, "--idle-seconds", 1, code=2).stderr


def test_a_reader_that_goes_is_no_traceback(folder):
    command = [sys.executable, "-m", "edgekd_runtime", "check"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT / "deploy") as process:
        process.stdout.close()
        assert process.wait() == 1 and process.stderr.read() == ""


def test_engines_alone_where_nothing_runs_the_onnx_files(folder, tmp_path, monkeypatch, capsys):
    """As on a Jetson without ONNX Runtime: what can't be measured by intent is no failure, and what can't be built is one."""
    for name in ("good", "bad"):
        shutil.copytree(folder, tmp_path / name)
    built = []

    def build(source, options):
        built.append(source)
        if source.parent.name == "bad":
            raise EdgeKDError(f"TensorRT rejects {source}.")
        return source  # an engine's place, and an ONNX file's content

    monkeypatch.setattr(bench, "installed_family", lambda: "tensorrt")
    monkeypatch.setattr(bench, "built_engine", build)
    monkeypatch.setattr(bench, "_missing", lambda backend: "no ONNX Runtime.")
    monkeypatch.setattr(bench, "find_models", lambda path: sorted(path.rglob("model.onnx")))
    code = main(["bench", str(tmp_path), "--trt", "--seconds", "0.1"])
    said = capsys.readouterr()
    assert len(built) == 2 and code == 1 and "tiny fp32" in said.out
    assert said.err.count("Not measured: TensorRT rejects") == 1 and "left out: no ONNX Runtime." in said.err
    assert "Error: 1 could not be measured" in said.err
    shutil.rmtree(tmp_path / "bad")
    assert main(["bench", str(tmp_path), "--trt", "--seconds", "0.1"]) == 0


def test_siblings_of_one_precision_have_engines_of_their_own(tmp_path):
    one, two = (engine_folder(tmp_path / name / "model.onnx") for name in ("fp32", "tuned"))
    assert (one.name, two.name) == ("fp32-trt", "tuned-trt")


def test_what_is_wrong_is_one_sentence(folder, tmp_path):
    assert device("bench", tmp_path, code=1).stderr.startswith("Error: No exported model at")
    (tmp_path / "model.engine").write_bytes(b"")
    said = device("bench", tmp_path / "model.engine", code=1).stderr
    assert said.startswith("Error: No ") and "model.json" in said


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--smooth", "0.5"], "0.5 is not inside 0.5 to 1"),
        (["--opacity", "1.5"], "1.5 is not from 0 to 1"),
        (["--fps", "0"], "0 is not from 0.1 to 1000"),
        (["--fps", "fast"], "invalid number value: 'fast'"),
        (["--out", "x.mp4", "--model", "none"], "No exported model at none"),
        ([], "Nothing to do with the frames"),
    ],
)
def test_a_demo_that_cannot_be(flags, words, folder, capsys):
    try:
        code = main(["demo", "in.mp4", "--model", str(folder), *flags])
    except SystemExit as ended:  # argparse's own
        code = ended.code
    assert code == (1 if "none" in flags else 2) and words in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["bench", "demo"])
def test_ctrl_c_is_130_without_a_traceback(verb, folder, tmp_path):
    """Once the power meter, or the page, says that the verb is at work."""
    tool(tmp_path / "bin", "tegrastats", f'echo >&2 at work\nwhile true; do echo "{ORIN_NANO}"; sleep 0.05; done')
    with video_writer(tmp_path / "in.avi", 10, (40, 56)) as write:
        for _ in range(200):
            write(np.zeros((40, 56, 3), np.uint8))
    flags = {"bench": [folder, "--power", "tegrastats"], "demo": [tmp_path / "in.avi", "--model", folder, "--serve", "0"]}[verb]
    command = [sys.executable, "-m", "edgekd_runtime", verb, *(str(flag) for flag in flags)]
    environment = {**os.environ, "PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}"}
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background ignores it
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=heed)
    try:
        said = process.stderr.readline()
        assert said.startswith({"bench": "at work", "demo": "Live at"}[verb])
        if verb == "demo":
            with urllib.request.urlopen(said.split()[-1] + "stream", timeout=60) as stream:
                assert stream.readline()  # a frame has come
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in said, said
    assert verb == "bench" or "Interrupted; nothing was written." in said
