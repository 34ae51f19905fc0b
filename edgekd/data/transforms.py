"""Joint image and label transforms for training, from torchvision's v2."""

from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from edgekd.config import DataRecipe
from edgekd_runtime.classes import IGNORE

GREY = 124  # near ImageNet's mean, what padding normalises to about zero


def train_transform(data: DataRecipe) -> v2.Transform:
    """Random scale, padded random crop, flip and colour, on (Image, Mask) pairs of uint8 tensors."""
    size = data.crop or data.size
    fill: dict[Any, int] = {tv_tensors.Image: GREY, tv_tensors.Mask: IGNORE}
    steps: list[v2.Transform] = [
        v2.ScaleJitter((data.size[1], data.size[0]), data.scale, antialias=True),  # takes (width, height)
        v2.RandomCrop(size, pad_if_needed=True, fill=fill),
        v2.RandomHorizontalFlip(data.flip),
    ]
    if data.color:
        steps.append(v2.ColorJitter(brightness=data.color, contrast=data.color, saturation=data.color))
    return v2.Compose(steps)


def to_tensors(sample: Any) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """A `Sample` of arrays → (Image 3×H×W, Mask H×W), uint8."""
    image = torch.from_numpy(sample.image).permute(2, 0, 1).contiguous()
    return tv_tensors.Image(image), tv_tensors.Mask(torch.from_numpy(sample.label))
