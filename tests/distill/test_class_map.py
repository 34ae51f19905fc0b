"""A teacher with classes of its own."""

import pytest
import torch

from edgekd.distill.class_map import class_map
from edgekd.models import SegOutput
from edgekd_runtime.errors import UsageError

STUDENT, TEACHER = ("road", "car", "tree", "pole"), ("sky", "road", "bus", "sedan", "tree")
GIVEN = {"road": "road", "car": ["bus", 3], "tree": 4, "pole": None}


def test_probabilities_of_joined_classes_are_sums():
    logits = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    mapped = class_map(GIVEN, STUDENT, TEACHER, 5)
    assert mapped.kept == (0, 1, 2) and not mapped.complete
    p = logits.softmax(1)
    wanted = torch.stack([p[:, 1], p[:, 2] + p[:, 3], p[:, 4]], 1)
    torch.testing.assert_close(mapped.teacher(SegOutput(logits)).logits.softmax(1), wanted / wanted.sum(1, keepdim=True))


def test_what_has_no_teacher_class_takes_no_part():
    mapped = class_map(GIVEN, STUDENT, TEACHER, 5)
    logits = torch.randn(1, 4, 2, 2)
    assert torch.equal(mapped.student(SegOutput(logits)).logits, logits[:, :3])
    assert mapped.labels(torch.tensor([[[0, 1], [3, 255]]])).tolist() == [[[0, 1], [255, 255]]]
    weight, bias = torch.randn(4, 6, 1, 1), torch.randn(4)
    assert torch.equal(mapped.classifier(weight, bias).weight, weight[:3])


@pytest.mark.parametrize(
    ("given", "names", "says"),
    [
        (GIVEN | {"bike": "bus"}, TEACHER, "no class 'bike'"),
        ({"road": "road"}, TEACHER, "lacks car, tree, pole"),
        (GIVEN | {"car": "truck"}, TEACHER, "no class 'truck'"),
        (GIVEN | {"car": 5}, TEACHER, "0 to 4"),
        (GIVEN, None, "numbers instead of 'road'"),
        (dict.fromkeys(STUDENT), TEACHER, "maps no class"),
    ],
)
def test_what_is_wrong_with_a_map(given, names, says):
    with pytest.raises(UsageError, match=says):
        class_map(given, STUDENT, names, 5)
