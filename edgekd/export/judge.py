"""What a lower precision costs, measured beside FP32, and what it may cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.console import progress
from edgekd.data import Layout
from edgekd.export.calibration import CalibrationSet
from edgekd.export.precision import Kind
from edgekd_calib.graph import Image, load_graph, run_graph
from edgekd_runtime.accuracy import ConfusionMatrix
from edgekd_runtime.artifact import load_artifact, score_key
from edgekd_runtime.image import fit, fit_classes


@dataclass(frozen=True)
class Budget:
    """What a lower precision may cost.

    Attributes:
        agreement: Least share of pixels whose class stays as FP32 has it, on the calibration images. For half precision.
        miou_drop: Largest loss of validation mIoU, in points; None = measured, and not limited.
    """

    agreement: float = 0.99
    miou_drop: float | None = None


@dataclass(frozen=True)
class Quality:
    """What a lower precision was measured to be, beside FP32.

    Attributes:
        agreement: Share of pixels of the calibration images whose class stays.
        miou, fp32_miou: On the validation images, in 0–1.
        images: How many of those.
        name: What the mIoU is: of labels, or agreement with the teacher.
    """

    agreement: float
    miou: float
    fp32_miou: float
    images: int
    name: str = "mIoU"

    def to_json(self) -> dict[str, Any]:
        """A JSON-safe dictionary, whose keys say what the scores are."""
        key = score_key(self.name)
        return {"agreement": self.agreement, key: self.miou, f"fp32_{key}": self.fp32_miou, "images": self.images, "name": self.name}

    def meets(self, kind: Kind, budget: Budget) -> bool:
        """Whether it is within the budget."""
        close = kind.quantised or self.agreement >= budget.agreement
        return close and (budget.miou_drop is None or self.miou_drop <= budget.miou_drop)

    @property
    def miou_drop(self) -> float:
        """MIoU lost, in points."""
        return 100 * (self.fp32_miou - self.miou)

    @property
    def words(self) -> str:
        """For a sentence."""
        same = f"same class on {100 * self.agreement:.2f} % of the pixels"
        return f"{self.name} {100 * self.miou:.2f}, {self.miou_drop:.2f} below fp32; {same}"


class Judge:
    """Measures graphs of one model against its FP32 form, Q/DQ as they are written, so that no CPU's kernels colour the result.

    Args:
        source: FP32 ``model.onnx`` with its sidecar.
        images: Calibration images, for the agreement.
        layout: Validation split, for the mIoU.
        count: Validation images, spread over the split; None = all.
    """

    def __init__(self, source: Path, images: CalibrationSet, layout: Layout, count: int | None = None) -> None:
        self.source, self.images, self.layout = source, images, layout
        self.artifact, model = load_artifact(source), load_graph(source)
        self.indices = layout.spread(count)
        self.maps = self._class_maps(model)
        self.fp32_miou = self._miou(model, "fp32")

    def __call__(self, model: Any, what: str) -> Quality:
        agreement = np.mean([(given == expected).mean() for given, expected in zip(self._class_maps(model), self.maps, strict=True)])
        return Quality(float(agreement), self._miou(model, what), self.fp32_miou, len(self.indices), self.artifact.score_name)

    def _classes(self, output: NDArray[Any]) -> NDArray[np.uint8]:
        return output[0] if self.artifact.output == "classes" else output[0].argmax(0).astype(np.uint8)

    def _class_maps(self, model: Any) -> list[NDArray[np.uint8]]:
        name = model.graph.output[0].name
        return [self._classes(outputs[0]) for outputs in run_graph(model, self.images.images, [name], optimise=False)]

    def _miou(self, model: Any, what: str) -> float:
        matrix = ConfusionMatrix(len(self.artifact.classes))
        labels: list[NDArray[np.uint8]] = []

        def images() -> Iterator[Image]:
            for index in self.indices:
                image, label = self.layout.read(index)
                labels.append(label)
                yield fit(image, self.artifact.size)[None]

        with progress(f"accuracy, {what}") as update:
            for done, outputs in enumerate(run_graph(model, images(), [model.graph.output[0].name], optimise=False), 1):
                label = labels.pop()
                matrix.update(label, fit_classes(self._classes(outputs[0]), (label.shape[0], label.shape[1])))
                update(done, len(self.indices))
        return matrix.accuracy().miou
