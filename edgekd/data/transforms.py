"""Joint image and label transforms for training, from torchvision's v2."""

from functools import partial
from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from edgekd.config import DataRecipe
from edgekd_runtime.classes import IGNORE

GREY = 124  # near ImageNet's mean, what padding normalises to about zero


class ClassCrop(v2.RandomCrop):
    """A random crop that holds a pixel of one of the image's classes, drawn by their chances.

    Args:
        chances: Of each class, C; an image that shows none of those with a chance is cut anywhere.
    """

    def __init__(self, size: tuple[int, int], chances: torch.Tensor, **options: Any) -> None:
        super().__init__(size, **options)
        self.chances = chances

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        params = super().make_params(flat_inputs)
        mask = next(value for value in flat_inputs if isinstance(value, tv_tensors.Mask)).as_subclass(torch.Tensor)
        shown = torch.bincount(mask.flatten(), minlength=256)[: len(self.chances)] > 0
        if (chances := self.chances * shown).any():
            pixels = (mask == torch.multinomial(chances, 1)).nonzero()
            y, x = pixels[torch.randint(len(pixels), ())].tolist()
            left, top, right, bottom = params["padding"]
            params["top"] = _start(y + top, mask.shape[-2] + top + bottom, params["height"])
            params["left"] = _start(x + left, mask.shape[-1] + left + right, params["width"])
        return params


def _start(pixel: int, whole: int, cut: int) -> int:
    """Where a cut begins that holds the pixel and stays inside the whole."""
    first, last = max(0, pixel - cut + 1), min(pixel, whole - cut)
    return int(torch.randint(first, last + 1, ()))


def train_transform(data: DataRecipe, chances: torch.Tensor | None = None) -> v2.Transform:
    """Random scale, padded random crop, flip, colour and blur, on (Image, Mask) pairs of uint8 tensors.

    Args:
        data: How strong each is.
        chances: Of the classes that crops are drawn for; None = crops fall anywhere.
    """
    size = data.crop or data.size
    fill: dict[Any, int] = {tv_tensors.Image: GREY, tv_tensors.Mask: IGNORE}
    cut = v2.RandomCrop if chances is None else partial(ClassCrop, chances=chances)
    steps: list[v2.Transform] = [
        v2.ScaleJitter((data.size[1], data.size[0]), data.scale, antialias=True),  # takes (width, height)
        cut(size, pad_if_needed=True, fill=fill),
        v2.RandomHorizontalFlip(data.flip),
    ]
    if data.color:
        steps.append(v2.ColorJitter(brightness=data.color, contrast=data.color, saturation=data.color))
    if data.blur:
        steps.append(v2.RandomApply([v2.GaussianBlur(9, (0.1, 2.0))], data.blur))
    return v2.Compose(steps)


def to_tensors(sample: Any) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    """A `Sample` of arrays → (Image 3×H×W, Mask H×W), uint8."""
    image = torch.from_numpy(sample.image).permute(2, 0, 1).contiguous()
    return tv_tensors.Image(image), tv_tensors.Mask(torch.from_numpy(sample.label))
