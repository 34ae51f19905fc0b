"""SIGKILL: nothing is left half-written, what stood there before is whole, and the next start cleans up and succeeds."""

import json

import numpy as np
import pytest

from edgekd_runtime.artifact import find_models, load_artifact
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import read_image, write_image
from edgekd_runtime.video import VideoReader, video_writer
from tests.killing import Killer
from tests.report.realistic import realistic
from tests.runtime.models import write_model


@pytest.fixture
def inputs(tmp_path):
    """A model, images, a video and results."""
    write_model(tmp_path / "in/fp32")
    for index in range(1):
        write_image(tmp_path / f"in/images/{index}.png", np.full((40, 56, 3), 50 * index, np.uint8))
    with video_writer(tmp_path / "in/a.avi", 10, (40, 56)) as write:
        for index in range(6):
            write(np.full((40, 56, 3), 30 * index, np.uint8))
    document = {"schema_version": 1, "measurements": [one.to_json() for one in realistic(2)]}
    (tmp_path / "in/r.json").write_text(json.dumps(document))
    return tmp_path / "in"


VERBS = {
    "bundle": ("edgekd", "bundle {in}/fp32 --out {out}/a.pyz", "a.pyz"),
    "report": ("edgekd", "report {in}/r.json --out {out}/a.html --picture {out}/a.svg", "a.html"),
    "predict": ("edgekd_runtime", "predict {in}/images --model {in}/fp32 --out {out}", "0.png"),
    "demo": ("edgekd_runtime", "demo {in}/a.avi --model {in}/fp32 --out {out}/a.avi", "a.avi"),
}
MOMENTS = 6
"""Of each verb; a change is one of the file system, such as a folder made or a file moved."""


def is_whole(file):
    """Whether a reader of such files takes it."""
    data = file.read_bytes()
    if file.suffix == ".png":
        return read_image(file).size > 0
    if file.suffix == ".avi":
        return len(list(VideoReader(file))) == 6
    return data.rstrip().endswith(b"</html>") if file.suffix == ".html" else len(data) > 100


@pytest.mark.parametrize("verb", VERBS)
def test_killed_before_each_change_of_its_output(verb, inputs, tmp_path):
    program, words, first = VERBS[verb]
    words, out = words.format(**{"in": inputs, "out": tmp_path / "out"}).split(), tmp_path / "out"
    killer = Killer(out, program)
    out.mkdir()
    (out / first).write_bytes(b"as it was")
    code, changes, _ = killer.run(words)
    made = {file.name for file in out.iterdir()}
    assert code == 0 and changes >= 3 and not list(tmp_path.rglob(".edgekd-*"))
    for number in sorted({round(place) for place in np.linspace(1, changes, MOMENTS)}):
        (out / first).write_bytes(b"as it was")
        assert killer.run(words, before=number)[0] == -9
        assert len(left(out)) <= 1, "what the last one left is cleaned up by this one"
        for file in out.glob("[!.]*"):
            assert file.read_bytes() == b"as it was" or is_whole(file), (number, file)
    assert left(out) and killer.run(words)[0] == 0 and {file.name for file in out.iterdir()} == made


def consistent(folder):
    """Each exported model that is found is whole, or its sidecar says that it is another; how many are."""
    try:
        files = find_models(folder)
    except EdgeKDError:
        return 0
    for file in files:
        try:
            load_artifact(file)
        except EdgeKDError as error:
            assert "is not the file that" in str(error) or "No " in str(error), error
    return len(files)


def left(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".edgekd-")]


LONG = {
    "train": "train --recipe {recipe} --out {run} --overwrite",
    "distill": "distill --recipe {recipe} --out {run} --teacher {teacher} --overwrite",
    "export": "export {run} --precision fp32,int8 --calib-images 2 --parity-images 2",
    "adopt": "adopt {net} --layout streetscape --option count=4 --option size=[48,64] --imgsz 48x64 --parity-images 2 --out {run}/adopted",
    "calib": "calib make {run} --images 2",
    "bench": "bench {run}/export --backend onnxruntime-cpu --seconds 0.2",
    "bundle": "bundle {run} --out {run}/a.pyz --images 2",
    "report": "report {run}/export/bench.json --out {run}/a.html --samples 2",
}
"""Each works on what the one before it made."""


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_killed_at_twenty_moments_over_the_whole_run_of_each_long_verb(tmp_path, tiny_file, capsys):
    """By the clock; a training that was cut off goes on too."""
    killer = Killer(tmp_path, "edgekd", "torch", "timm", "onnx", "onnxslim", "edgekd.pipeline", "edgekd.export.plan", "edgekd.export.adopt")
    names = {"run": tmp_path / "run", "recipe": tiny_file, "teacher": tmp_path / "teacher", "net": tmp_path / "net.onnx"}
    assert killer.run(["train", "--recipe", tiny_file, "--part", "teacher", "--out", names["teacher"]])[0] == 0
    write_net(names["net"])
    for verb, form in LONG.items():
        words = form.format(**names).split()
        code, _, seconds = killer.run(words)
        assert code == 0, verb
        killed = models = 0
        for moment in range(20):
            code, _, took = killer.run(words, after_s=seconds * (moment + 0.5) / 20)
            assert code in (-9, 0), (verb, moment, code)
            killed += code == -9
            seconds = seconds if code else took  # the machine has more or less to do meanwhile
            models = consistent(tmp_path)
        if verb in ("train", "distill") and (names["run"] / "last.pt").exists():
            assert killer.run([verb, "--out", names["run"], "--resume"])[0] == 0, verb
        assert killer.run(words)[0] == 0, verb
        assert not left(tmp_path), (verb, left(tmp_path))
        with capsys.disabled():
            print(f"{verb}: killed at {killed} of 20 moments over {seconds:.1f} s; {models} models found after the last")


def write_net(file):
    """Somebody's network, for nine classes."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.random.default_rng(0).normal(size=(9, 3, 3, 3)).astype(np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    sizes = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 48, 64]) for name, channels in (("x", 3), ("y", 9)))
    entry, given = sizes
    graph = helper.make_graph([node], "g", [entry], [given], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), file)
