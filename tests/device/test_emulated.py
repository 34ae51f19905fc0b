"""Processors that are not here, emulated: the bundle on aarch64, and an x86 without VNNI. They must see the classes that this one sees."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgekd.device import write_bundle
from edgekd.export.onnx import write_onnx
from edgekd_calib.forms import FORMS
from edgekd_calib.graph import load_graph
from edgekd_calib.quantize import kept_by_design, quantize
from edgekd_runtime.artifact import CPU, ENGINE_SOURCE, TENSORRT, Artifact
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.files import sha256
from tests.calib.conftest import noise, settled, table_of
from tests.device.debian import UnavailableError
from tests.device.emulated import PROCESSORS, arm_environment, arm_python, emulator

pytestmark = pytest.mark.timeout(900)  # an emulated processor is some thirty times slower
DEPLOY = Path(__file__).parents[2] / "deploy"
SIZE = (72, 104)
INT8 = {CPU: "int8", TENSORRT: f"int8{ENGINE_SOURCE}"}
CLASS_MAPS = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(DEPLOY)!r})
import numpy as np
from edgekd_runtime.backends import open_session
images, out, *files = map(Path, sys.argv[1:])
sessions = {{file.parent.name: open_session(file, "onnxruntime-cpu", 1) for file in files}}
np.savez(out, **{{name: np.stack([session.class_map(image) for image in np.load(images)]) for name, session in sessions.items()}})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One network in FP32 and in both forms of INT8 below ``export``, and images that it sees."""
    path = tmp_path_factory.mktemp("emulated")
    full, images = path / "export/fp32/model.onnx", noise(4, SIZE)
    full.parent.mkdir(parents=True)
    write_onnx(settled("lraspp-mobilenetv3_small_050", SIZE, output_stride=16), SIZE, "classes", full, {})
    model = load_graph(full)
    classes = ClassSet(tuple("abcde"), default_palette(5))
    artifact = Artifact("m fp32", "m", "none", SIZE, "classes", "fp32", classes, (0.5,) * 3, (0.5,) * 3, 18, sha256(full), "source")
    artifact.save(full.parent)
    for target, name in INT8.items():
        low = path / "export" / name / "model.onnx"
        low.parent.mkdir()
        onnx.save(quantize(model, table_of(model, images), FORMS[target], weight_bits=FORMS[CPU].weight_bits), low)
        about = {"target": target, "sha256": sha256(low), "reduction": {"kept": kept_by_design(model.graph)}}
        replace(artifact, name=f"m {name}", precision="int8", **about).save(low.parent)
    np.save(path / "images.npy", np.concatenate(images))
    return path


@pytest.fixture(scope="module")
def here(folder):
    """The class maps of the processor that is here."""
    return class_maps(folder, [sys.executable])


@pytest.fixture(scope="module")
def arm():
    """A Python of aarch64."""
    try:
        return arm_python()
    except UnavailableError as error:
        pytest.skip(f"aarch64 can't be emulated: {error}")


def class_maps(folder, python, environment=None):
    files = sorted(folder.glob("export/*/model.onnx"))
    command = [*python, "-c", CLASS_MAPS, folder / "images.npy", folder / "maps.npz", *files]
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(np.load(folder / "maps.npz"))


def assert_same(found, expected):
    assert found.keys() == expected.keys() == {"fp32", *INT8.values()}
    for name, maps in expected.items():
        assert len(np.unique(maps)) > 2 and (found[name] == maps).mean() == 1, name


@pytest.mark.parametrize("processor", PROCESSORS)
def test_aarch64_sees_the_same_classes(folder, here, arm, processor):
    assert_same(class_maps(folder, [arm], arm_environment(processor)), here)


def test_an_x86_without_vnni_sees_the_same_classes(folder, here):
    """There two products of 8 bits are added in 16, which 8-bit weights overflow."""
    try:
        qemu = emulator("x86_64")
    except UnavailableError as error:
        pytest.skip(f"another x86 can't be emulated: {error}")
    assert_same(class_maps(folder, [qemu, "-cpu", "Haswell", "-0", sys.executable, Path(sys.executable).resolve()]), here)


def test_a_bundle_on_aarch64(folder, arm, tmp_path):
    write_bundle([folder / "export"], tmp_path / "student.pyz")
    environment = {**arm_environment("cortex-a72"), "XDG_CACHE_HOME": str(tmp_path)}

    def run(*words):
        command = [str(word) for word in (arm, tmp_path / "student.pyz", *words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    about = json.loads(run("check", "--json"))
    assert "aarch64" in about["device"]["system"] and about["backends"]["onnxruntime-cpu"]["usable"]
    run("bench", "--seconds", 0.1, "--threads", 1, "--results", tmp_path / "r.json")
    measured = json.loads((tmp_path / "r.json").read_text())["measurements"]
    assert {one["artifact"]["name"] for one in measured} == {"m fp32", "m int8"}  # what engines are built from runs fast nowhere else
    assert all(one["latency"]["network"]["p50_ms"] > 0 and one["peak_memory_bytes"] > 1e6 for one in measured)
    engines = run("build", "--family", "tensorrt-rtx", "--level", 0).splitlines()
    assert len(engines) == 2 and all(Path(engine).stat().st_size > 10_000 for engine in engines)
