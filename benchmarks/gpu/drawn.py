"""Street scenes of any size as image files, for what reads files: drawn, with a photograph's grain."""

from pathlib import Path

import cv2
import numpy as np

from edgekd.data import open_layout
from edgekd_runtime.files import write_text


def draw(root: Path, kind: str, count: int, size: tuple[int, int]) -> Path:
    """Write a `folder` data set of so many images (``png`` or ``jpg``, masks as PNG) and give its root."""
    streets = open_layout("streetscape", "train", size=[256, 512])
    for part in ("images", "masks"):
        (root / part / "train").mkdir(parents=True)
    grain = np.random.default_rng(0).normal(0, 4, (*size, 3))
    for index in range(count):
        sample = streets.read(index)
        image = cv2.resize(sample.image, size[::-1], interpolation=cv2.INTER_CUBIC)
        image = np.clip(image + np.roll(grain, index * 37, 1), 0, 255).astype(np.uint8)
        mask = cv2.resize(sample.label, size[::-1], interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(root / f"images/train/{index:03d}.{kind}"), image[..., ::-1])
        cv2.imwrite(str(root / f"masks/train/{index:03d}.png"), mask)
    write_text(root / "dataset.yaml", "names: [" + ", ".join(f"'{name}'" for name in streets.classes.names) + "]\n")
    return root
