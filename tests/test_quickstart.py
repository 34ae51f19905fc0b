"""The quickstart: who sees what, and the picture."""

import numpy as np
import pytest

from edgekd import quickstart
from edgekd.data import open_training
from edgekd.data.frames import open_frames
from edgekd.loading import load_recipe
from edgekd.report.pictures import SampleRow
from edgekd_runtime.classes import ClassSet, default_palette


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Recipes of the trainings, as they would be trained."""
    monkeypatch.setattr(quickstart, "STREETS", 2)
    asked = []
    for verb in ("train", "distill"):
        monkeypatch.setattr(f"edgekd.pipeline.{verb}", lambda recipe, folder, overwrite: asked.append((folder.name, recipe)))
    runs = quickstart.trainings(load_recipe("quickstart", [{"data": {"size": [48, 64]}}]), tmp_path)
    assert [folder.name for folder in runs.values()] == [name for name, _ in asked]
    return dict(asked)


def test_both_students_have_the_same_few_labels_and_one_of_them_the_teacher_and_the_recording(trained):
    teacher, alone, distilled = (trained[name] for name in ("teacher", "baseline", "distilled"))
    assert len(open_training(teacher)) == 512 and len(open_training(alone)) == quickstart.LABELS
    assert alone.data == distilled.data.model_copy(update={"unlabelled": []}) and not alone.data.unlabelled and not teacher.data.unlabelled
    assert len(open_frames(distilled.data)) == 2 * quickstart.FRAMES_OF_A_STREET
    assert alone.train == distilled.train and alone.student == distilled.student and alone.task == distilled.task
    assert distilled.teacher.run.endswith("teacher") and distilled.transfer


def test_the_picture_is_of_the_two_students(trained):
    classes = ClassSet(("a", "b"), default_palette(2))
    grey = {"image": 1, "label": 2, "teacher": 3, "baseline": 4, "distilled": 5}
    row = SampleRow("0", {name: np.full((20, 200, 3), value, np.uint8) for name, value in grey.items()})
    sheet = quickstart.sample_sheet([row, row], classes, {"teacher": 0.5, "baseline": 0.4, "distilled": 0.45})
    assert sheet[quickstart.HEAD :: 20, 100:800:200, 0].tolist() == [[1, 2, 4, 5]] * 2
    assert sheet[: quickstart.HEAD].max() == 255  # something is written there
