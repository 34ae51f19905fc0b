"""The C++ program: compiled without a warning, it sees the classes that Python sees, and says what is wrong in a sentence."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest

from edgekd_runtime.artifact import Artifact, load_artifact
from edgekd_runtime.backends import open_session
from edgekd_runtime.files import sha256
from tests.device.debian import Archive, UnavailableError
from tests.runtime.models import SIZE, write_model

ROOT = Path(__file__).parents[2]
HEADERS = (ROOT / ".venv").resolve() / "cpp-headers"
SUITE = "trixie"
"""The first Debian with ONNX Runtime."""
PACKAGES = ("libonnxruntime-dev", "nlohmann-json3-dev")


def headers():
    """Folders for the compiler; taken from Debian once."""
    if not (HEADERS / "usr").is_dir():
        shutil.rmtree(HEADERS, ignore_errors=True)
        archive = Archive(HEADERS / "apt", SUITE, "amd64")
        archive.unpack(PACKAGES, HEADERS / "unpacked", alone=True)
        archive.close()
        (HEADERS / "unpacked/usr").rename(HEADERS / "usr")
    return HEADERS / "usr/include", HEADERS / "usr/include/onnxruntime"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The program, with the library of the Python package."""
    if shutil.which("g++") is None:
        pytest.skip("there is no g++ (apt install g++)")
    library = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"), None)
    if library is None:
        pytest.skip("the onnxruntime wheel here has no libonnxruntime.so")
    try:
        includes = [f"-I{folder}" for folder in headers()]
    except UnavailableError as error:
        pytest.skip(f"there are no headers of ONNX Runtime: {error}")
    folder = tmp_path_factory.mktemp("cpp")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(library)
    command = ["g++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", ROOT / "deploy/cpp/segment.cpp", "-o", folder / "segment"]
    libraries = [f"-L{folder}", "-lonnxruntime", f"-Wl,-rpath,{folder}"]
    done = subprocess.run([*command, *includes, *libraries], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "segment"


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model")


@pytest.fixture
def image(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "image.ppm"), picture[..., ::-1])
    return picture


def segment(program, *words, code=0):
    environment = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def scores_instead(file):
    """Make the model give its scores, as ``--output logits`` exports it."""
    graph = (model := onnx.load(file)).graph
    scores = next(node for node in graph.node if node.op_type == "ArgMax").input[0]
    del graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info(scores, onnx.TensorProto.FLOAT, [1, 5, *SIZE]))
    onnx.save(onnx.shape_inference.infer_shapes(model), file)
    replace(Artifact.load(file.parent), output="logits", sha256=sha256(file)).save(file.parent)


@pytest.mark.parametrize("output", ["classes", "logits"])
def test_it_sees_what_python_sees(program, model, image, tmp_path, output):
    if output == "logits":
        scores_instead(model)
    with open_session(model, "onnxruntime-cpu", 1) as session:
        expected, palette = session.class_map(image), np.array(load_artifact(model).classes.palette, np.uint8)
    said = segment(program, model.parent, tmp_path / "image.ppm", tmp_path / "out.pgm", "--threads", 1)
    found = cv2.imread(str(tmp_path / "out.pgm"), cv2.IMREAD_UNCHANGED)
    assert (found == expected).all() and len(np.unique(found)) > 2
    shares = {line.split("%")[1].strip(): float(line.split("%")[0]) for line in said.splitlines() if "%" in line}
    assert shares == {"abcde"[one]: pytest.approx(100 * (expected == one).mean(), abs=0.01) for one in np.unique(expected)}
    segment(program, model.parent, tmp_path / "image.ppm", tmp_path / "out.ppm")
    assert (cv2.imread(str(tmp_path / "out.ppm"))[..., ::-1] == palette[expected]).all()


def test_what_is_wrong_is_said(program, model, image, tmp_path):
    assert "segment MODEL_FOLDER" in segment(program, code=2)
    asked = (program, model.parent, tmp_path / "image.ppm", tmp_path / "out.pgm")
    assert "--provider is cpu, cuda or tensorrt" in segment(*asked, "--provider", "gpu", code=2)
    assert "Error: " in segment(*asked, "--provider", "cuda", code=1)  # never the CPU in its place
    cv2.imwrite(str(tmp_path / "large.ppm"), np.zeros((80, 80, 3), np.uint8))
    assert f"scale={SIZE[1]}:{SIZE[0]}" in segment(program, model.parent, tmp_path / "large.ppm", tmp_path / "out.pgm", code=2)
    (tmp_path / "short.ppm").write_bytes((tmp_path / "image.ppm").read_bytes()[:-9])
    assert "is cut short" in segment(program, model.parent, tmp_path / "short.ppm", tmp_path / "out.pgm", code=1)
    assert "no binary PPM" in segment(program, model.parent, model, tmp_path / "out.pgm", code=1)
    for key, value in (("size", [40]), ("palette", [[1, 2]]), ("schema_version", 9)):
        document = json.loads((model.parent / "model.json").read_text())
        (document["classes"] if key == "palette" else document)[key] = value
        (tmp_path / "broken").mkdir(exist_ok=True)
        (tmp_path / "broken/model.json").write_text(json.dumps(document))
        assert "run `edgekd export` again" in segment(program, tmp_path / "broken", tmp_path / "image.ppm", tmp_path / "x.pgm", code=1)
    assert not (tmp_path / "out.pgm").exists()
