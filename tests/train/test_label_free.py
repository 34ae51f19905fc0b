"""Distillation without labels: classes are the teacher's, and every score is called agreement with it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgekd import parts, pipeline
from edgekd.data import open_split
from edgekd.report.columns import write_markdown
from edgekd.runs import Run
from edgekd_runtime.artifact import AGREEMENT, Artifact
from edgekd_runtime.measurement import Measurement, save_results
from tests.data.test_frames import write_drive
from tests.report.realistic import realistic


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
    write_markdown(tmp_path / "bench.md", [measured])
    assert "agreement %" in (tmp_path / "bench.md").read_text() and "mIoU" not in (tmp_path / "bench.md").read_text()
    edgekd("report", results, "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert AGREEMENT in page and "Agreement with the teacher" in page
    assert json.loads(edgekd("eval", label_free.path, "--json").stdout)["score"] == AGREEMENT


def _measured(artifact: Artifact) -> Measurement:
    """As `edgekd bench` would measure it, without the time that it takes."""
    one = realistic(1)[0]
    return replace(one, artifact=artifact, accuracy=replace(one.accuracy, iou=one.accuracy.iou[: len(artifact.classes)]))


def test_what_is_missing_is_said(tmp_path, tiny_file, edgekd):
    def say(*arguments):
        return edgekd("distill", "--recipe", tiny_file, "--label-free", "--out", tmp_path / "run", *arguments, code=2).output

    assert "needs a trained teacher" in say("--unlabelled", "drive.mp4")
    assert "needs unlabelled images" in say("--teacher", tmp_path / "teacher")
