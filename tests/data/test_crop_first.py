"""Cropping before resizing gives what torchvision's scale and crop give, one after the other, from the same random numbers."""

import numpy as np
import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from edgekd.config import DataRecipe
from edgekd.data import loader
from edgekd.data.layout import Sample
from edgekd.data.transforms import GREY, MEAN, ClassCrop, SteppedScale, train_transform
from edgekd_runtime.classes import IGNORE

CHANCES = torch.tensor([0.0, 0.2, 0.8])


class PadEnd(v2.Transform):
    """Fill up at the right and the bottom, whole images as they are."""

    def __init__(self, size):
        super().__init__()
        self._size = size

    def make_params(self, flat_inputs):
        height, width = flat_inputs[0].shape[-2:]
        return {"padding": [0, 0, max(0, self._size[1] - width), max(0, self._size[0] - height)]}

    def transform(self, inpt, params):
        return v2.functional.pad(inpt, params["padding"], IGNORE if isinstance(inpt, tv_tensors.Mask) else MEAN)


def step_by_step(data, chances):
    """Every image whole."""
    cut = v2.RandomCrop if chances is None else lambda size, **options: ClassCrop(size, chances, **options)
    target = data.size[1], data.size[0]
    return v2.Compose(
        [
            SteppedScale(target, data.scale, data.scale_step) if data.scale_step else v2.ScaleJitter(target, data.scale, antialias=True),
            *([PadEnd(data.crop)] if data.pad == "end" else []),
            cut(data.crop, pad_if_needed=True, fill={tv_tensors.Image: GREY, tv_tensors.Mask: IGNORE}),
            v2.RandomHorizontalFlip(data.flip),
        ]
    )


@pytest.mark.parametrize("pad", ["sides", "end"])
@pytest.mark.parametrize("chances", [None, CHANCES])
@pytest.mark.parametrize(
    "options",
    [{"scale": (0.5, 2.0)}, {"scale": (0.5, 2.0), "scale_step": 0.25}, {"scale": (0.3, 0.5)}, {"scale": (1.0, 1.0)}, {"size": (61, 97)}],
)
def test_the_crop_first_gives_what_the_scale_first_gives(options, chances, pad):
    data = DataRecipe(**{"layout": "x", "size": (90, 130), "crop": (48, 64), "pad": pad, **options})
    generator = np.random.default_rng(0)
    image = np.kron(generator.integers(0, 256, (11, 15, 3)), np.ones((9, 9, 1)))[:95, :131] + generator.integers(-9, 9, (95, 131, 3))
    sample = Sample(
        image.clip(0, 255).astype(np.uint8), np.kron(generator.integers(0, 3, (19, 27)), np.ones((5, 5)))[:95, :131].astype(np.uint8)
    )
    whole = tv_tensors.Image(torch.from_numpy(sample.image).permute(2, 0, 1)), tv_tensors.Mask(torch.from_numpy(sample.label))
    for seed in range(8):
        torch.manual_seed(seed)
        image, label = train_transform(data, chances)(sample)
        after = torch.rand(1)
        torch.manual_seed(seed)
        expected, mask = step_by_step(data, chances)(*whole)
        assert torch.equal(after, torch.rand(1))  # as many numbers were drawn
        off = (image.int() - expected.int()).abs()
        assert torch.equal(label, mask) and int(off.max()) <= 2 and float(off.float().mean()) < 0.02


@pytest.mark.parametrize("cores, processes, workers", [(16, 1, 15), (16, 4, 3), (1, 1, 1), (2, 2, 1)])
def test_every_core_but_one_of_each_process_loads(monkeypatch, cores, processes, workers):
    monkeypatch.setattr(loader.os, "sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert loader.default_workers() == workers
