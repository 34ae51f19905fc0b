"""Detail guidance: its targets against OpenCV, its loss against textbook formulas, its head outside the student."""

import copy

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from edgekd.distill.detail import DetailGuidance, detail_loss, detail_targets
from edgekd.models import Segmenter


def steps(height=24, width=40, seed=0):
    """Labels of random blocks, with some ignored."""
    labels = np.kron(np.random.default_rng(seed).integers(0, 5, (height // 8, width // 8)), np.ones((8, 8), int))
    labels[:4, :6] = 255
    return labels


def edges_by_opencv(labels):
    """The public description, step by step: filter, subsample, threshold, nearest upsampling, fuse, threshold."""
    kernel = np.full((3, 3), -1.0)
    kernel[1, 1] = 8
    response = cv2.filter2D(labels.astype(np.float64), -1, kernel, borderType=cv2.BORDER_CONSTANT)
    fused = np.zeros(labels.shape)
    for stride, tenths in ((1, 6), (2, 3), (4, 1)):
        edges = (response[::stride, ::stride] > 0.1).astype(int)
        fused += tenths * edges.repeat(stride, 0).repeat(stride, 1)
    return fused > 1


@pytest.mark.parametrize("seed", range(3))
def test_targets_are_the_fused_laplacian_pyramid(seed):
    labels = steps(seed=seed)
    targets = detail_targets(torch.from_numpy(labels)[None])
    assert targets.shape == (1, 1, 24, 40) and 0.1 < targets.mean() < 0.9
    assert np.array_equal(targets[0, 0].numpy() > 0, edges_by_opencv(labels))


def test_flat_labels_have_no_detail_and_uint8_is_taken():
    flat = torch.full((1, 16, 16), 3, dtype=torch.uint8)
    inside = detail_targets(flat)[..., 2:-2, 2:-2]
    assert inside.sum() == 0
    flat[:, 8:] = 7
    assert detail_targets(flat)[0, 0, 8, 2:-2].all()


def test_loss_is_cross_entropy_plus_dice():
    labels = torch.from_numpy(np.stack([steps(seed=4), steps(seed=5)]))
    logits = torch.randn(2, 1, 24, 40, generator=torch.Generator().manual_seed(0))
    truth = np.stack([edges_by_opencv(label) for label in labels.numpy()]).astype(float)
    p = 1 / (1 + np.exp(-logits[:, 0].numpy().astype(float)))
    entropy = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).mean()
    dice = [1 - (2 * (a * b).sum() + 1) / (a.sum() + b.sum() + 1) for a, b in zip(p, truth, strict=True)]
    assert detail_loss(logits, labels).item() == pytest.approx(entropy + np.mean(dice), rel=1e-5)
    perfect = torch.from_numpy(np.where(truth > 0, 50.0, -50.0))[:, None]
    assert detail_loss(perfect, labels) < 1e-6 < detail_loss(-perfect, labels)


class Objective(nn.Module):
    """What a run minimises, as DDP wraps it."""

    def __init__(self):
        super().__init__()
        self.student = Segmenter("stdc-stdc1", 5, head_channels=16, auxiliary=False)
        self.detail = DetailGuidance(self.student, weight=0.5)

    def forward(self, image, labels):
        return self.student(image).logits.mean(), self.detail(labels)


def test_guidance_trains_its_head_and_the_levels_below_and_stays_outside_the_student():
    torch.manual_seed(0)
    objective = Objective()
    labels = torch.from_numpy(steps(64, 64))[None].repeat(2, 1, 1)
    before = set(objective.student.state_dict())
    _, loss = objective(torch.randn(2, 3, 64, 64), labels)
    loss.backward()
    names = {name for name, parameter in objective.named_parameters() if parameter.grad is not None}
    assert any(name.startswith("detail.head") for name in names)
    levels = {name.split("features_")[1].split(".")[0] for name in names if "features_" in name}
    assert levels == {"0", "1", "2", "3"}  # up to the end of stride 8, nothing behind it
    assert set(objective.student.state_dict()) == before and not any("detail" in name for name in before)


def test_the_last_forward_with_gradients_counts_also_beside_an_average_of_the_student():
    """A moving average is a deep copy, which no map with a history survives, and is validated between steps."""
    objective = Objective()
    image, labels = torch.randn(2, 3, 64, 64), torch.from_numpy(steps(64, 64))[None].repeat(2, 1, 1)
    objective.student(image)
    average = copy.deepcopy(objective.student).eval()
    with torch.no_grad():
        average(torch.zeros(1, 3, 32, 32))
    objective.detail(labels).backward()
    assert next(objective.student.backbone.parameters()).grad is not None
    assert next(average.backbone.parameters()).grad is None


def test_it_fits_within_bf16_autocast_and_learns():
    torch.manual_seed(0)
    objective = Objective()
    optimizer = torch.optim.Adam(objective.parameters(), 1e-2)
    image, labels = torch.randn(2, 3, 64, 64), torch.from_numpy(steps(64, 64))[None].repeat(2, 1, 1)
    losses = []
    for _ in range(8):
        with torch.autocast("cpu", torch.bfloat16):
            _, loss = objective(image, labels)
        assert loss.dtype == torch.float32
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
