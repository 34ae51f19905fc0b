"""mIoU and its relatives from one NumPy confusion matrix: the same code scores a run, an ONNX file and an engine."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.typed import NAN, Within

Score = Annotated[float, Within(0, 1), NAN]


class ConfusionMatrix:
    """Counts of (label, prediction) pairs over any number of images.

    Args:
        num_classes: C; the matrix is C×C, rows are labels.

    Labels of C or more (255 among them) are ignored.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.counts = np.zeros((num_classes, num_classes), np.int64)

    def update(self, label: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Add one image.

        Args:
            label: H×W class indices, 255 = ignore.
            prediction: H×W class indices, each below C.

        Raises:
            EdgeKDError: If the shapes differ or a predicted class is C or more.
        """
        if label.shape != prediction.shape:
            raise EdgeKDError(f"The prediction is {prediction.shape} but the label {label.shape}; resize it to the label first.")
        valid = label < self.num_classes
        predicted = prediction[valid]
        if predicted.size and int(predicted.max()) >= self.num_classes:
            raise EdgeKDError(f"The model predicts class {int(predicted.max())} but the data has {self.num_classes} classes.")
        pairs = label[valid].astype(np.int64) * self.num_classes + predicted
        self.counts += np.bincount(pairs, minlength=self.num_classes**2).reshape(self.counts.shape)

    def accuracy(self) -> "Accuracy":
        """Scores of everything counted so far; classes that no label and no prediction names are NaN and left out of the means."""
        hits = np.diag(self.counts).astype(np.float64)
        labelled, predicted = self.counts.sum(1), self.counts.sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            iou = hits / (labelled + predicted - hits)
            recall = hits / labelled
            pixel = hits.sum() / self.counts.sum()
        return Accuracy(miou=_mean(iou), pixel_accuracy=float(pixel), mean_accuracy=_mean(recall), iou=tuple(float(value) for value in iou))


def _mean(values: NDArray[np.float64]) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


@dataclass(frozen=True)
class Accuracy:
    """Segmentation scores, all in 0–1.

    Attributes:
        miou: Mean intersection over union over the classes that occur.
        pixel_accuracy: Share of labelled pixels that are right.
        mean_accuracy: Mean over classes of the share of their pixels that is right (mAcc).
        iou: Intersection over union a class; NaN where the class occurs in neither labels nor predictions.
    """

    miou: Score
    pixel_accuracy: Score
    mean_accuracy: Score
    iou: tuple[Score, ...]

    def to_json(self, key: str = "miou") -> dict[str, object]:
        """A JSON-safe dictionary; NaN becomes null, and `key` is that of the mean IoU: `edgekd_runtime.artifact.score_key`."""
        clean = [None if np.isnan(value) else round(value, 6) for value in (self.miou, self.pixel_accuracy, self.mean_accuracy, *self.iou)]
        return {key: clean[0], "pixel_accuracy": clean[1], "mean_accuracy": clean[2], "iou": clean[3:]}


def score(
    predict: Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[np.uint8]],
    samples: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    num_classes: int,
) -> Accuracy:
    """Score a predictor at label resolution.

    Args:
        predict: (RGB image uint8 H×W×3, label size (H, W)) → class map uint8 of that size.
        samples: Pairs of image and label.
        num_classes: C.
    """
    matrix = ConfusionMatrix(num_classes)
    for image, label in samples:
        matrix.update(label, predict(image, (label.shape[0], label.shape[1])))
    return matrix.accuracy()
