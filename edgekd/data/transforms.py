"""Joint image and label transforms for training, from torchvision's v2."""

import math
from functools import partial
from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from edgekd.config import DataRecipe
from edgekd_runtime.classes import IGNORE

GREY = 124  # near ImageNet's mean, what padding normalises to about zero
MEAN = [124, 116, 104]
"""ImageNet's mean colour; within 0.01 of 0 once normalised."""


class SteppedScale(v2.ScaleJitter):
    """`v2.ScaleJitter` whose scale is one of those so many steps apart."""

    def __init__(self, target_size: tuple[int, int], scale_range: tuple[float, float], step: float) -> None:
        super().__init__(target_size, scale_range, antialias=True)
        low, high = scale_range
        self._scales = [low + index * step for index in range(math.floor((high - low) / step + 1e-6) + 1)]

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        scale = self._scales[int(torch.randint(len(self._scales), ()))]
        self.scale_range = (scale, scale)
        return super().make_params(flat_inputs)


class PadEnd(v2.Transform):
    """Fill up to a size (H, W) at the right and the bottom."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self._size = size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = next(value for value in flat_inputs if isinstance(value, tv_tensors.Mask)).shape[-2:]
        return {"padding": [0, 0, max(0, self._size[1] - width), max(0, self._size[0] - height)]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return v2.functional.pad(inpt, params["padding"], IGNORE if isinstance(inpt, tv_tensors.Mask) else MEAN)


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
    target = data.size[1], data.size[0]  # takes (width, height)
    steps: list[v2.Transform] = [
        SteppedScale(target, data.scale, data.scale_step) if data.scale_step else v2.ScaleJitter(target, data.scale, antialias=True),
        *([PadEnd(size)] if data.pad == "end" else []),
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
