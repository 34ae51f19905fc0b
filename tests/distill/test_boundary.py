"""PIDNet's boundary loss: its targets against OpenCV, its parts against textbook formulas, and that a run takes it."""

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgekd.config import ModelRecipe, TaskRecipe
from edgekd.distill.boundary import boundary_loss, boundary_targets
from edgekd.distill.objective import Supervised
from edgekd.models.build import build_network

CLASSES = 4


def blocks(batch=2, height=24, width=40, seed=0):
    """Labels of random blocks, with some ignored."""
    labels = np.kron(np.random.default_rng(seed).integers(0, CLASSES, (batch, height // 8, width // 8)), np.ones((1, 8, 8), int))
    labels[:, :4, :6] = 255
    return labels


def test_targets_are_within_two_pixels_of_a_change():
    """By OpenCV: pixels that differ from a neighbour, grown; a pixel on either side of the line, and one more each."""
    labels = blocks()
    targets = boundary_targets(torch.from_numpy(labels))
    for label, target in zip(labels, targets[:, 0].numpy(), strict=True):
        label = label.astype(np.uint8)
        square = np.ones((5, 5), np.uint8)
        assert np.array_equal(target > 0, cv2.dilate(label, square) != cv2.erode(label, square))
    line = torch.zeros(1, 9, 12, dtype=torch.int64)
    line[..., 6:] = 1
    assert boundary_targets(line)[0, 0, 4].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]  # 4 wide


def test_the_loss_is_both_parts_of_the_paper():
    """In float64, pixel by pixel."""
    torch.manual_seed(0)
    labels = torch.from_numpy(blocks())
    boundary, logits = 3 * torch.randn(2, 1, 24, 40, dtype=torch.float64), torch.randn(2, CLASSES, 24, 40, dtype=torch.float64)
    target = boundary_targets(labels).double()
    positives, negatives = (target == 1).sum(), (target == 0).sum()
    weight = torch.where(target == 1, negatives, positives) / (positives + negatives)
    chance = boundary.sigmoid()
    binary = -(weight * (target * chance.log() + (1 - target) * (1 - chance).log())).mean()
    sure = (chance[:, 0] > 0.8) & (labels != 255)
    again = -logits.log_softmax(1).gather(1, labels.clamp_max(CLASSES - 1)[:, None])[:, 0][sure].mean()
    assert 0 < sure.float().mean() < 1
    given = boundary_loss(boundary, logits, labels)
    torch.testing.assert_close(given.double(), 20 * binary + again, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        boundary_loss(boundary - 100, logits, labels).double(),
        20 * F.binary_cross_entropy_with_logits(boundary - 100, target, weight),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize(("weight", "learns"), [(1.0, True), (0.0, False)])
def test_a_student_with_a_boundary_head_learns_it(weight, learns):
    """Also at weight 0 every parameter gets a gradient, if of 0, as DDP wants it."""
    torch.manual_seed(0)
    student = build_network(ModelRecipe(name="pidnet-s", head_channels=16), CLASSES).train()
    objective = Supervised(student, TaskRecipe(boundary=weight))
    labels = torch.from_numpy(np.kron(blocks(), np.ones((1, 2, 2), int)))
    parts = objective(torch.randint(0, 256, (2, 3, 48, 80), dtype=torch.uint8), labels, 0.0)
    assert set(parts) == {"task", "auxiliary", "boundary"} and (parts["boundary"] > 0) == learns
    sum(parts.values()).backward()
    gradients = [parameter.grad for parameter in student.training_only["boundary"].parameters()]
    assert all(gradient is not None for gradient in gradients) and any(gradient.any() for gradient in gradients) == learns


def test_every_booster_is_supervised():
    """BiSeNetV2's four, each with the auxiliary weight: half the weight, half the loss."""
    student = build_network(ModelRecipe(name="bisenetv2", head_channels=16, dropout=0.0), CLASSES).train()
    image, labels = torch.randint(0, 256, (2, 3, 48, 80), dtype=torch.uint8), torch.from_numpy(np.kron(blocks(), np.ones((1, 2, 2), int)))
    whole, half = (Supervised(student, TaskRecipe(auxiliary=weight))(image, labels, 0.0) for weight in (1.0, 0.5))
    assert set(whole) == {"task", "auxiliary", "auxiliary2", "auxiliary3", "auxiliary4"}
    for name in set(whole) - {"task"}:
        torch.testing.assert_close(half[name], whole[name] / 2)
