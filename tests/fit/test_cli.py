"""`edgekd fit`: one small run from candidates to a recipe, its gates, and what it says when something is wrong."""

import json
from functools import partial

import pytest
import timm

from edgekd.config import ModelRecipe
from edgekd.fit import sweep
from edgekd.fit.candidate import DEFAULT, Candidate, candidates, labels
from edgekd.fit.lines import recipe_lines
from edgekd.loading import load_recipe
from edgekd.models import build_network
from edgekd.models.networks import NETWORKS
from edgekd.models.segmenter import head_of
from edgekd_runtime import harness
from edgekd_runtime.latency import Timing
from tests.fit.conftest import CANDIDATE, CLASSES

NAME = CANDIDATE.model.name
TINY = ("--candidate", f"{NAME},output_stride=32,head_channels=16", "--imgsz", "64x96", "--num-classes", CLASSES)
QUICK = ("--seconds", 0.2, "--backend", "onnxruntime-cpu")


@pytest.fixture
def short(monkeypatch, untrained):
    """Files that are there, two rounds, hardly warmed up, and no process of its own to measure memory in."""
    monkeypatch.setattr(sweep, "Timing", partial(Timing, warmup_s=0.01, settle_s=0.0, rounds=2))
    monkeypatch.setattr(harness, "peak_memory", lambda *case: 64 << 20)
    monkeypatch.setattr(sweep, "export_untrained", lambda *given: untrained[1])


def test_from_candidates_to_a_recipe(short, tmp_path, edgekd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out = tmp_path / "fit"
    said = edgekd("fit", *TINY, *QUICK, "--max-latency-ms", 1e4, "--out", out)
    assert f"Next: edgekd distill --recipe {out / 'recipe.yaml'}" in said.stderr and f"1/2 {NAME}, sweep 1 of 2" in said.stderr
    (row,) = (line for line in said.stdout.splitlines() if line.lstrip().startswith(NAME))
    assert " all " in row and " 64 " in row and len(row) <= 80
    assert f"Of what fits 10000 ms, {NAME} has" in said.stdout and said.stdout.endswith((out / "recipe.yaml").read_text())
    recipe = load_recipe(out / "recipe.yaml")
    assert recipe.data.size == (64, 96) and recipe.student.head_channels == 16 and recipe.transfer
    assert build_network(recipe.student, CLASSES).name == NAME
    missed = edgekd("fit", *TINY, *QUICK, "--max-latency-ms", 1e-4, "--max-memory-mib", 65, "--out", out, code=4)
    assert "1/2" not in missed.stderr  # nothing is measured again
    assert f"Nothing fits 0.0001 ms and 65 MiB; the nearest is {NAME} in " in missed.stderr
    document = json.loads(edgekd("fit", *TINY, *QUICK, "--json", "--out", out).stdout)
    assert document == json.loads((out / "fit.json").read_text()) and document["best"] == NAME
    forms = document["candidates"][0]["forms"]
    assert [(form["precision"], len(form["sweeps_ms"]), form["memory_mib"]) for form in forms] == [("fp32", 2, 64.0), ("int8", 2, 64.0)]


WRONG = [
    (["--candidate", "pidnet-m"], 2, "Unknown model 'pidnet-m'"),
    (["--candidate", "pidnet-m"], 2, "did you mean 'pidnet-s'?"),
    (["--candidate", "pidnet-s,output_stride=16"], 2, "pidnet-s has one output stride"),
    (
        ["--candidate", "pidnet-s,stride=16"],
        2,
        "'stride=16' is none of output_stride=…, head_channels=…, imgsz=…; did you mean 'output_stride'?",
    ),
    (["--candidate", "pidnet-s,head_channels=x"], 2, "--candidate pidnet-s,head_channels=x: head_channels: "),
    (["--candidate", "teacher.onnx"], 2, "can teach but not be trained"),
    (["--imgsz", "16x16"], 2, "16x16 is too small for"),
    (["--imgsz", "16"], 2, "An image size is HEIGHTxWIDTH"),
    (["--precision", "int4"], 2, "--precision has no 'int4'"),
    (["--precision", "fp32,init8"], 2, "did you mean 'int8'?"),
    (["--trt"], 2, "--trt builds engines on the machine of --device"),
    (["--data-root", "x"], 2, "--data-root belongs to --recipe"),
    (["--recipe", "camvit"], 2, "No recipe 'camvit'; did you mean 'camvid'?"),
    (["--recipe", "camvid", "--data-root", "nowhere"], 1, "or say --num-classes."),
    (["--candidate", "fast-scnn", "--backend", "onnxruntime-cpo"], 2, "did you mean 'onnxruntime-cpu'?"),
    (["--candidate", "fast-scnn", "--backend", "tensorrt"], 2, "tensorrt can't run ONNX files"),
    (["--candidate", "fast-scnn", "--device", "jetson"], 2, "A device is ssh://USER@HOST:PORT"),
]


@pytest.mark.parametrize(("options", "code", "words"), WRONG)
def test_wrong_usage(tmp_path, edgekd, options, code, words):
    assert words in edgekd("fit", *options, "--out", tmp_path / "fit", code=code).stderr
    assert not (tmp_path / "fit").exists()


def test_every_default_is_known_and_goes_into_a_recipe(tmp_path):
    found = candidates((), [(128, 256)])
    base = load_recipe("quickstart")
    assert len(found) == len(DEFAULT) == 12
    for one in found:
        assert one.model.name in NETWORKS or (head_of(one.model.name) and timm.is_model(one.model.name.partition("-")[2]))
        (tmp_path / "recipe.yaml").write_text(recipe_lines(one, "quickstart", base))
        recipe = load_recipe(tmp_path / "recipe.yaml")
        shape = ("name", "output_stride", "head_channels")
        assert [getattr(recipe.student, key) for key in shape] == [getattr(one.model, key) for key in shape]
        assert recipe.data.size == (128, 256) and recipe.student.auxiliary == base.student.auxiliary


def test_the_recipes_own_student_is_a_candidate_and_keeps_what_it_says(tmp_path, tiny_file):
    base = load_recipe(tiny_file, [{"student": {"weights": "some.pth", "dropout": 0.3}}])
    found = candidates((), [(48, 64), (96, 128)], base.student)
    assert [one.size for one in found[:2]] == [(48, 64), (96, 128)] and found[0].model == base.student and len(found) == 26
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit/recipe.yaml").write_text(recipe_lines(found[1], str(tiny_file), base))
    recipe = load_recipe(tmp_path / "fit/recipe.yaml")
    assert recipe.data.size == (96, 128) and recipe.student == load_recipe(tiny_file).student


def test_labels_tell_apart_what_differs():
    sizes = ((64, 64), (96, 96))
    models = [ModelRecipe(name="fcn-resnet18", output_stride=stride) for stride in (8, 32)] + [ModelRecipe(name="fast-scnn")]
    named = labels([Candidate(model, size) for model in models for size in sizes])
    assert named[:2] == ["fcn-resnet18 os8 64x64", "fcn-resnet18 os8 96x96"] and named[4] == "fast-scnn 64x64"
    assert labels([Candidate(models[0], sizes[0]), Candidate(models[2], sizes[1])]) == ["fcn-resnet18", "fast-scnn"]
    assert len(candidates(["fast-scnn", "fast-scnn", "fast-scnn,imgsz=96x96"], sizes[:1])) == 2
