"""Joint image and label transforms for training, from torchvision's v2; of the scaled image only what the crop shows is computed."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from edgekd.config import DataRecipe
from edgekd.data.layout import Sample
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


Pair = tuple[torch.Tensor, torch.Tensor]
Transform = Callable[[Sample], Pair]


class ScaledCrop:
    """A random scale and a random crop of what it gives.

    The same numbers are drawn and the same pixels come out as if one followed the other, but only those of the crop are computed: labels
    to the bit, images to two levels of 255, since Pillow rounds otherwise than torchvision.

    Args:
        jitter: Draws the scale.
        crop: Draws where to cut, with padding around where the scaled image is smaller.
        pad_end: Fill up at the right and the bottom instead.
    """

    def __init__(self, jitter: v2.ScaleJitter, crop: v2.RandomCrop, pad_end: bool) -> None:
        self._jitter, self._crop, self._pad_end = jitter, crop, pad_end

    def __call__(self, sample: Sample) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        """Image H×W×3 and label H×W → Image 3×h×w and Mask h×w, uint8."""
        whole = sample.label.shape[0], sample.label.shape[1]
        size = self._jitter.make_params([_of_size(whole)])["size"]
        rows, columns = (_nearest(before, after) for before, after in zip(whole, size, strict=True))
        params = self._crop.make_params([self._seen(sample, rows, columns)])
        (left, top, *_), height, width = params["padding"], params["height"], params["width"]
        # the crop's corner in the scaled image, before it where there is padding, and the part that lies in it
        y, x = params["top"] - top, params["left"] - left
        ys, xs = (max(0, y), min(size[0], y + height)), (max(0, x), min(size[1], x + width))
        image, label = np.empty((height, width, 3), np.uint8), np.full((height, width), IGNORE, np.uint8)
        image[:] = MEAN if self._pad_end else GREY
        place = slice(ys[0] - y, ys[1] - y), slice(xs[0] - x, xs[1] - x)
        image[place] = _resized(sample.image, size, ys, xs)
        label[place] = sample.label[rows[slice(*ys)][:, None], columns[slice(*xs)]]
        return tv_tensors.Image(torch.from_numpy(image).permute(2, 0, 1).contiguous()), tv_tensors.Mask(torch.from_numpy(label))

    def _seen(self, sample: Sample, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> tv_tensors.Mask:
        """What the crop is drawn in: the scaled label for one that looks at classes, its size for others."""
        size, end = (len(rows), len(columns)), self._crop.size if self._pad_end else (0, 0)
        beyond = [max(0, least - side) for side, least in zip(size, end, strict=True)]
        if not isinstance(self._crop, ClassCrop):
            return _of_size((size[0] + beyond[0], size[1] + beyond[1]))
        scaled = np.pad(sample.label[rows[:, None], columns], [(0, more) for more in beyond], constant_values=IGNORE)
        return tv_tensors.Mask(torch.from_numpy(scaled))


def _of_size(size: tuple[int, int]) -> tv_tensors.Mask:
    """A mask that only its size is asked of; it takes no memory."""
    return tv_tensors.Mask(torch.zeros((), dtype=torch.uint8).expand(size))


def _nearest(before: int, after: int) -> NDArray[np.int64]:
    """Which row of `before` each of `after` shows, as torch's nearest interpolation has it: it multiplies in float32."""
    return np.minimum(np.floor(np.arange(after, dtype=np.float32) * np.float32(before / after)).astype(np.int64), before - 1)


def _resized(image: NDArray[np.uint8], size: tuple[int, int], ys: tuple[int, int], xs: tuple[int, int]) -> NDArray[np.uint8]:
    """Rows `ys` and columns `xs` of the image resized to `size`, antialiased; what else it holds is neither read nor computed."""
    boxes, parts = [], []
    for whole, scaled, (first, last) in zip(image.shape[:2], size, (ys, xs), strict=True):
        ratio = whole / scaled
        reach = math.ceil(max(ratio, 1.0)) + 1  # of the filter around a pixel's place
        begin, end = max(0, math.floor(first * ratio) - reach), min(whole, math.ceil(last * ratio) + reach)
        parts.append(slice(begin, end))
        boxes.append((first * ratio - begin, min(last * ratio - begin, float(end - begin))))
    (top, bottom), (left, right) = boxes
    part = Image.fromarray(np.ascontiguousarray(image[parts[0], parts[1]]))
    given = part.resize((xs[1] - xs[0], ys[1] - ys[0]), Image.Resampling.BILINEAR, (left, top, right, bottom))
    return np.asarray(given)


def train_transform(data: DataRecipe, chances: torch.Tensor | None = None) -> Transform:
    """Random scale, padded random crop, flip, colour and blur: a sample of arrays → image 3×h×w and label h×w, uint8 tensors.

    Args:
        data: How strong each is.
        chances: Of the classes that crops are drawn for; None = crops fall anywhere.
    """
    cut = v2.RandomCrop if chances is None else partial(ClassCrop, chances=chances)
    target = data.size[1], data.size[0]  # takes (width, height)
    jitter = SteppedScale(target, data.scale, data.scale_step) if data.scale_step else v2.ScaleJitter(target, data.scale)
    crop = ScaledCrop(jitter, cut(data.crop or data.size, pad_if_needed=True), data.pad == "end")
    steps: list[v2.Transform] = [v2.RandomHorizontalFlip(data.flip)]
    if data.color:
        steps.append(v2.ColorJitter(brightness=data.color, contrast=data.color, saturation=data.color))
    if data.blur:
        steps.append(v2.RandomApply([v2.GaussianBlur(9, (0.1, 2.0))], data.blur))
    rest = v2.Compose(steps)

    def transform(sample: Sample) -> Pair:
        image, label = rest(*crop(sample))
        return image.as_subclass(torch.Tensor), label.as_subclass(torch.Tensor)

    return transform
