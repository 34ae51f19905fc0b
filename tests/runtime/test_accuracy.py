"""Scores against torchmetrics, percentiles against trtexec's rule."""

import numpy as np
import pytest

from edgekd_runtime.accuracy import ConfusionMatrix, score
from edgekd_runtime.errors import EdgeKDError


@pytest.fixture
def images():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 6, (4, 31, 43)).astype(np.uint8)
    predictions = np.where(generator.random(labels.shape) < 0.6, labels, generator.integers(0, 6, labels.shape)).astype(np.uint8)
    labels[generator.random(labels.shape) < 0.1] = 255
    return labels, predictions


def test_equals_torchmetrics(images):
    torch = pytest.importorskip("torch", reason="torchmetrics is the judge, and PyTorch is not installed here")
    from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

    labels, predictions = images
    given = score(lambda image, size: image, zip(predictions, labels, strict=True), 6)
    p, y = torch.from_numpy(predictions).long(), torch.from_numpy(labels).long()
    for name, metric in {
        "miou": MulticlassJaccardIndex(6, ignore_index=255),
        "pixel_accuracy": MulticlassAccuracy(6, ignore_index=255, average="micro"),
        "mean_accuracy": MulticlassAccuracy(6, ignore_index=255, average="macro"),
    }.items():
        assert getattr(given, name) == pytest.approx(float(metric(p, y)), abs=1e-6)
    np.testing.assert_allclose(given.iou, MulticlassJaccardIndex(6, ignore_index=255, average="none")(p, y).numpy(), atol=1e-6)


def test_equals_counting_by_hand():
    """Of 10 labelled pixels, class 0: 3 of 4 found and 1 too many; class 1: 5 of 6 found and 1 too many."""
    label = np.array([[0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 255]], np.uint8)
    said = np.array([[0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0]], np.uint8)
    given = score(lambda image, size: image, [(said, label)], 2)
    assert given.iou == pytest.approx((3 / 5, 5 / 7)) and given.miou == pytest.approx((3 / 5 + 5 / 7) / 2)
    assert given.pixel_accuracy == pytest.approx(8 / 10) and given.mean_accuracy == pytest.approx((3 / 4 + 5 / 6) / 2)


def test_a_class_that_never_occurs_is_left_out():
    matrix = ConfusionMatrix(3)
    matrix.update(np.array([[0, 1]], np.uint8), np.array([[0, 1]], np.uint8))
    accuracy = matrix.accuracy()
    assert accuracy.miou == 1.0 and np.isnan(accuracy.iou[2]) and accuracy.to_json()["iou"][2] is None


def test_nothing_labelled_scores_nothing():
    matrix = ConfusionMatrix(3)
    matrix.update(np.full((2, 2), 255, np.uint8), np.zeros((2, 2), np.uint8))
    assert np.isnan(matrix.accuracy().miou) and matrix.accuracy().to_json()["miou"] is None


def test_what_does_not_fit_is_refused():
    with pytest.raises(EdgeKDError, match="resize"):
        ConfusionMatrix(3).update(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(EdgeKDError, match="class 7"):
        ConfusionMatrix(3).update(np.zeros((2, 2), np.uint8), np.full((2, 2), 7, np.uint8))
