"""Batches in which some images have no labels: what each loss sees of them."""

import pytest
import torch
from torch.nn import functional as F

from edgekd import parts
from edgekd.config import TaskRecipe, TransferRecipe
from edgekd.distill.class_map import ClassMap
from edgekd.distill.objective import Distillation
from edgekd.distill.pseudo import pseudo_labels
from edgekd.distill.registry import TRANSFERS
from edgekd.distill.teacher import Teacher
from edgekd.distill.transfer import Transfer
from edgekd_runtime.errors import UsageError
from tests.distill.test_objective import C, student, teacher

LABELLED, UNLABELLED = [0, 3], [1, 2]


class Seen(Transfer):
    """Keeps the pair that it is shown."""

    paper = summary = ""
    default_weight = 1.0

    def __init__(self) -> None:
        super().__init__()

    def forward(self, pair):
        Seen.pair = pair
        return pair.student.logits.sum() * 0


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (4, 3, 64, 96), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, C, (4, 4, 6), generator=generator).repeat_interleave(16, 1).repeat_interleave(16, 2)
    labels[UNLABELLED] = 255
    return image, labels


@pytest.mark.parametrize("weighting", [{}, {"weighting": "difficulty", "min_kept": 900}, {"weighting": "ohem", "min_kept": 900}])
@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_the_task_is_that_of_the_labelled_images_alone(batch, weighting, progress):
    objective = Distillation(student(), Teacher(teacher()), TaskRecipe(dice=0.5, detail=1.0, **weighting), []).eval()
    image, labels = batch
    mixed = objective(image, labels, progress, LABELLED)
    alone = objective(image[LABELLED], labels[LABELLED], progress)
    assert mixed.keys() == alone.keys() >= {"task", "auxiliary", "dice", "detail"}
    for name, value in alone.items():
        torch.testing.assert_close(mixed[name], value)


def guesses(objective, image, labels):
    """The labels as the objective should see them, at a confidence that half of this untrained teacher's pixels reach."""
    logits = objective.teacher(image, labels).logits
    objective.confidence = float(logits[UNLABELLED].softmax(1).amax(1).median())
    return pseudo_labels(logits, labels, UNLABELLED, objective.confidence)


@pytest.mark.parametrize("method", TRANSFERS)
def test_every_transfer_is_over_all_images(batch, method):
    """What reads labels reads the teacher's on the unlabelled ones, as if somebody had labelled them so."""
    image, labels = batch
    options = {"width": 8} if method == "adversarial" else {}
    objective = Distillation(student(), Teacher(teacher()), TaskRecipe(), [TransferRecipe(method=method, **options)])
    guessed = guesses(objective, image, labels)
    assert 0 < (guessed[UNLABELLED] == 255).float().mean() < 1 and torch.equal(guessed[LABELLED], labels[LABELLED])
    objective.eval()
    torch.testing.assert_close(objective(image, labels, 0.5, LABELLED)[method], objective(image, guessed, 0.5)[method])


def test_pseudo_labels_are_the_teachers_confident_classes(batch):
    logits = torch.randn(4, C, 4, 6, generator=torch.Generator().manual_seed(1)) * 2
    _, labels = batch
    guessed = pseudo_labels(logits, labels, UNLABELLED, 0.6)
    probability = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=True).double().softmax(1)
    for index in UNLABELLED:
        expected = torch.where(probability[index].amax(0) >= 0.6, probability[index].argmax(0), 255)
        assert (guessed[index] == expected).float().mean() > 0.9999 and 0 < (expected == 255).float().mean() < 1


def test_pseudo_cross_entropy_is_torchs_on_those_labels(batch):
    image, labels = batch
    objective = Distillation(student(), Teacher(teacher()), TaskRecipe(pseudo=0.5), []).eval()
    guessed = guesses(objective, image, labels)
    logits = objective.student(objective.student.normalize(image)).logits
    whole = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=True)
    expected = 0.5 * F.cross_entropy(whole[UNLABELLED], guessed[UNLABELLED], ignore_index=255)
    torch.testing.assert_close(objective(image, labels, 0.5, LABELLED)["pseudo"], expected)
    assert "pseudo" not in objective(image, labels, 0.5)
    objective.confidence = 1.0
    assert float(objective(image, labels, 0.5, LABELLED)["pseudo"].detach()) == 0


def test_no_label_at_all(batch):
    image, labels = batch
    objective = Distillation(student(), Teacher(teacher()), TaskRecipe(detail=1.0), [TransferRecipe(method="ifvd")])
    losses = objective(image, torch.full_like(labels, 255), 0.5, [])
    assert losses.keys() == {"ifvd"} and float(losses["ifvd"].detach()) > 0


def test_pseudo_labels_are_of_the_classes_that_both_have(batch, monkeypatch):
    """Student class 1 has no teacher class: the pair's classes are 0, 2, 3, 4."""
    monkeypatch.setitem(TRANSFERS, "seen", Seen)
    monkeypatch.setattr(Seen, "needs", frozenset({"labels"}))
    image, labels = batch
    mapped = ClassMap(((0,), (2,), (3,), (4, 1)), (0, 2, 3, 4), C)
    objective = Distillation(student(), Teacher(teacher(), classes=mapped), TaskRecipe(), [TransferRecipe(method="seen")], confidence=0.3)
    objective(image, labels, 0.5, LABELLED)
    expected = pseudo_labels(objective.teacher(image, labels).logits, mapped.labels(labels), UNLABELLED, 0.3)
    assert torch.equal(Seen.pair.labels, expected) and int(expected[expected != 255].max()) <= 3


def refused(tiny, sentence, world=1, **changes):
    recipe = tiny
    for section, values in changes.items():
        part = getattr(recipe, section)
        recipe = recipe.model_copy(update={section: part.model_copy(update=values) if isinstance(values, dict) else values})
    with pytest.raises(UsageError, match=sentence):
        parts.check_unlabelled(recipe)
        parts.check_shares(recipe, world)


def test_what_can_not_be_is_refused(tiny):
    some = {"unlabelled": ["drive.mp4"]}
    refused(tiny, "is shown the label", data=some, teacher={"label_assisted": True})
    refused(tiny, "transfers nothing", data={**some, "unlabelled_share": 1.0}, transfer=[])
    refused(tiny, "there are none", task={"pseudo": 1.0})
    refused(tiny, "leaves 0.4 labelled images of the 4", data={**some, "unlabelled_share": 0.9})
    refused(tiny, "leaves 1.2 labelled images of the 2", data={**some, "unlabelled_share": 0.4}, world=2)
