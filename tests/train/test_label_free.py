"""Distillation without labels: classes are the teacher's, and every score is called agreement with it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import edgekd as edgekd_package
from edgekd import parts, pipeline
from edgekd.cli.tables import layer_table
from edgekd.data import open_split
from edgekd.export.judge import Quality
from edgekd.measure.benchmark import missed_gates
from edgekd.report.columns import write_markdown
from edgekd.runs import Run
from edgekd_calib.sensitivity import LayerSensitivity
from edgekd_runtime.artifact import AGREEMENT, Artifact, score_key
from edgekd_runtime.errors import UsageError
from edgekd_runtime.measurement import Measurement, load_results, save_results
from tests.data.test_frames import write_drive
from tests.report.realistic import realistic

KEY = score_key(AGREEMENT)


@pytest.fixture
def label_free(tmp_path, tiny, tiny_file, edgekd):
    """A run from a drawn drive under a teacher of few steps."""
    pipeline.train(parts.teacher_part(tiny), tmp_path / "teacher")
    drive = write_drive(tmp_path / "drive.avi")
    arguments = ["--recipe", tiny_file, "--teacher", tmp_path / "teacher", "--label-free", "--unlabelled", drive]
    edgekd("distill", *arguments, "--set", "task.pseudo=0.5", "--out", tmp_path / "run")
    return Run(tmp_path / "run")


def test_the_whole_way_says_agreement_and_never_miou(label_free, tmp_path, edgekd, tiny):
    recipe = label_free.recipe
    val = open_split(recipe)
    assert (len(val), len(open_split(recipe, "train"))) == (2, 23)  # the last tenth of 25 frames is held out
    assert val.classes.names == open_split(tiny).classes.names and val.classes.palette == open_split(tiny).classes.palette
    teacher = pipeline.load_teacher(recipe, val.classes)
    image, label = val.read(1)
    logits = teacher(torch.from_numpy(image).permute(2, 0, 1)[None], torch.zeros(1, 48, 64, dtype=torch.long)).logits
    whole = torch.nn.functional.interpolate(logits, (48, 64), mode="bilinear", align_corners=True)
    assert np.array_equal(whole.argmax(1)[0].numpy(), label)

    records = label_free.history()
    assert all(set(record["parts"]) == {"cwd", "pseudo"} for record in records if "parts" in record)
    assert all(record["val"]["labels"] == "teacher" for record in records if "val" in record)
    assert all(0 <= record["val"][KEY] <= 1 for record in records if "val" in record) and "miou" not in label_free.metrics.read_text()
    card = label_free.card.read_text()
    assert f"val {AGREEMENT} **" in card and "mIoU" not in card and "No label" in card

    edgekd("export", label_free.path)
    folder = label_free.fp32.parent
    assert Artifact.load(folder).data["labels"] == "teacher"
    scored = edgekd("eval", folder).output
    assert AGREEMENT in scored and "mIoU" not in scored
    results = tmp_path / "bench.json"
    measured = _measured(Artifact.load(folder))
    save_results(results, [measured])
    assert f'"{KEY}": ' in results.read_text() and "miou" not in results.read_text()
    assert load_results(results)[0].accuracy.miou == pytest.approx(measured.accuracy.miou, abs=1e-6)
    (sentence,) = missed_gates([measured], None, 99.5)
    assert AGREEMENT in sentence and "mIoU" not in sentence
    write_markdown(tmp_path / "bench.md", [measured])
    assert "agreement %" in (tmp_path / "bench.md").read_text() and "mIoU" not in (tmp_path / "bench.md").read_text()
    edgekd("report", results, "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert AGREEMENT in page and "Agreement with the teacher" in page and "mIoU" not in page
    told = json.loads(edgekd("eval", label_free.path, "--json").stdout)
    assert told["score"] == AGREEMENT and 0 <= told[KEY] <= 1 and "miou" not in told


def test_what_a_lower_precision_loses_is_agreement_too(capsys):
    written = Quality(0.99, 0.5, 0.6, 4, AGREEMENT).to_json()
    assert written == {"agreement": 0.99, KEY: 0.5, f"fp32_{KEY}": 0.6, "images": 4, "name": AGREEMENT}
    one = realistic(1)[0].artifact
    assert (
        replace(one, data={"labels": "teacher"}, reduction=written).written_score
        == 0.5
        == replace(one, reduction={"miou": 0.5}).written_score
    )
    layers = [LayerSensitivity("conv", "Conv", 20.0, 0.01).to_json(KEY)]
    assert layers[0][f"{KEY}_drop"] == 0.01 and "miou_drop" not in layers[0]
    layer_table("layers", layers, AGREEMENT)
    said = " ".join(capsys.readouterr().out.split())
    assert "+1.000" in said and "mIoU" not in said


def test_python_and_the_command_line_ask_for_the_same(tmp_path, tiny, tiny_file, edgekd, monkeypatch):
    pipeline.train(parts.teacher_part(tiny), tmp_path / "teacher")
    drive, asked = write_drive(tmp_path / "drive.avi"), []
    keep = lambda recipe, folder, **how: asked.append((recipe.model_dump(), folder, how))  # noqa: E731
    monkeypatch.setattr("edgekd.pipeline.distill", keep)
    monkeypatch.setattr("edgekd.api.distill_recipe", keep)
    for flag, label_free in (([], False), (["--label-free"], True)):
        out = tmp_path / f"run{label_free}"
        given = ["--recipe", tiny_file, "--teacher", tmp_path / "teacher", "--unlabelled", drive, "--method", "cwd", "--out", out]
        edgekd("distill", *given, *flag)
        edgekd_package.distill(tiny_file, out, method="cwd", teacher=tmp_path / "teacher", unlabelled=drive, label_free=label_free)
        assert asked[-1] == asked[-2] and asked[-1][0]["data"]["labels"] == ("teacher" if label_free else "data")
    edgekd_package.distill(tiny, tmp_path / "two", teacher=tmp_path / "teacher", unlabelled=[drive, tmp_path])
    assert asked[-1][0]["data"]["unlabelled"] == [str(drive), str(tmp_path)]
    with pytest.raises(UsageError, match="continues with its own recipe"):
        edgekd_package.distill(tiny, tmp_path / "two", teacher="t", unlabelled=drive, label_free=True, resume=True)


def _measured(artifact: Artifact) -> Measurement:
    """As `edgekd bench` would measure it, without the time that it takes."""
    one = realistic(1)[0]
    return replace(one, artifact=artifact, accuracy=replace(one.accuracy, iou=one.accuracy.iou[: len(artifact.classes)]))


def test_what_is_missing_is_said(tmp_path, tiny_file, edgekd):
    def say(*arguments):
        return edgekd("distill", "--recipe", tiny_file, "--label-free", "--out", tmp_path / "run", *arguments, code=2).output

    assert "needs a trained teacher" in say("--unlabelled", "drive.mp4")
    assert "needs unlabelled images" in say("--teacher", tmp_path / "teacher")
