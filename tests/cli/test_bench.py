"""`edgekd bench`: gates, failures among models that work, sweeps, Markdown."""

import json
from dataclasses import replace
from functools import partial

import pytest

from edgekd.data import open_layout
from edgekd.measure.benchmark import advice
from edgekd_runtime import latency
from edgekd_runtime.artifact import Artifact
from tests.report.realistic import realistic
from tests.runtime.models import write_model

QUICK = ("--no-accuracy", "--seconds", 0.1, "--backend", "onnxruntime-cpu")


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Two rounds, hardly warmed up."""
    monkeypatch.setattr(latency, "Timing", partial(latency.Timing, warmup_s=0.01, settle_s=0.0, rounds=2))


@pytest.fixture
def models(tmp_path):
    for name in ("one", "two"):
        write_model(tmp_path / "models" / name, name=f"{name} fp32")
    return tmp_path / "models"


def test_one_broken_model_is_told_and_the_other_is_saved(models, tmp_path, edgekd):
    (models / "one/model.onnx").write_bytes(b"cut short")
    said = edgekd("bench", models, *QUICK, code=1)
    assert f"Not measured: {models}/one/model.onnx is not the file" in said.stderr
    assert "Error: 1 could not be measured" in said.stderr and "two fp32" in said.stdout
    (saved,) = json.loads((models / "bench.json").read_text())["measurements"]
    assert saved["artifact"]["name"] == "two fp32" and set(saved["latency"]) == {"preprocess", "network", "postprocess", "end_to_end"}


def test_a_sidecar_that_is_gone_stops_no_other(models, edgekd):
    (models / "one/model.json").unlink()
    assert "Not measured: No " in edgekd("bench", models, *QUICK, code=1).stderr
    (models / "two/model.json").unlink()
    assert "model.json; a file of somebody else" in edgekd("bench", models, *QUICK, code=1).stderr


def test_a_latency_over_its_budget_is_4_after_everything_was_saved(models, tmp_path, edgekd):
    budget = ("--max-latency-ms", 1e-4)
    said = edgekd("bench", models, *QUICK, *budget, "--markdown", tmp_path / "table.md", code=4)
    assert said.stderr.count("more than the 0.0001 ms of --max-latency-ms.") == 2
    assert len(json.loads((models / "bench.json").read_text())["measurements"]) == 2
    table = (tmp_path / "table.md").read_text().splitlines()
    assert table[2].startswith("| model | backend |") and len({line.count("|") for line in table[2:6]}) == 1
    (models / "one/model.onnx").write_bytes(b"cut short")
    assert "Not measured" in edgekd("bench", models, *QUICK, *budget, code=4).stderr
    edgekd("bench", models / "two", *QUICK, "--max-latency-ms", 1e4)


def test_a_score_below_its_gate_is_4(models, edgekd):
    data = {"layout": "streetscape", "root": None, "split": "val", "options": {"size": [40, 56], "count": 8}}
    classes = open_layout("streetscape", "val", None, **data["options"]).classes
    for name in ("one", "two"):
        replace(Artifact.load(models / name), data=data, classes=classes).save(models / name)
    quick = ("--seconds", 0.1, "--images", 2, "--backend", "onnxruntime-cpu")
    said = edgekd("bench", models, *quick, "--min-miou", 99, code=4)
    assert said.stderr.count("less than the 99 of --min-miou.") == 2
    edgekd("bench", models, *quick, "--min-miou", 0)


def test_threads_are_swept_and_batches_refused(models, edgekd):
    said = edgekd("bench", models / "one", *QUICK, "--threads", "1,2", "--batch", "1,2", "--json", code=1)
    assert [(one["threads"], one["batch"]) for one in json.loads(said.stdout)] == [(1, 1), (2, 1)]
    assert said.stderr.count("does not take 2 images at a time") == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--threads", "1,x"], "'1,x' is not a list of whole numbers from 0 on"),
        (["--batch", "0"], "'0' is not a list of whole numbers from 1 on"),
        (["--no-accuracy", "--min-miou", "5"], "--min-miou and --no-accuracy exclude each other"),
        (["--idle-seconds", "1"], "--idle-seconds needs --power"),
        (["--no-accuracy", "--power", "watts"], "Unknown power source 'watts'"),
    ],
)
def test_wrong_usage(models, edgekd, options, words):
    assert words in edgekd("bench", models / "one", *options, code=2).stderr


@pytest.mark.parametrize(
    ("reduction", "words"),
    [
        ({"miou": 0.60, "images": 500, "weight_bits": 8}, "--weight-bits 7"),
        ({"miou": 0.60, "images": 500, "weight_bits": 7}, "use another"),
        ({"miou": 0.51, "images": 500, "weight_bits": 8}, None),  # within the tolerance
        ({"miou": 0.60, "images": 24, "weight_bits": 8}, None),  # of other images: nothing can be said
        ({}, None),
    ],
)
def test_a_backend_that_is_not_exact_is_told_from_other_images(reduction, words):
    (one,) = realistic(1)
    scored = replace(one, artifact=replace(one.artifact, reduction=reduction), accuracy=replace(one.accuracy, miou=0.50))
    told = [sentence for sentence in advice([scored]) if "evaluated as written" in sentence]
    assert len(told) == (words is not None) and all(words in sentence for sentence in told)
