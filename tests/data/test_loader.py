"""Order and augmentation depend on the seed and the position alone, and image and label move together."""

import numpy as np
import pytest
import torch
from torchvision import tv_tensors

from edgekd.config import DataRecipe, TrainRecipe
from edgekd.data.layout import Layout, Sample
from edgekd.data.loader import checked, train_loader
from edgekd.data.transforms import SteppedScale
from edgekd_runtime.classes import ClassSet


class Marked(Layout):
    """Images whose red channel is their label, so that a joint transform keeps both equal."""

    title = tree = ""
    classes = ClassSet(("a",), ((0, 0, 0),))

    def __len__(self):
        return 7

    def name(self, index):
        return str(index)

    def read(self, index):
        label = np.kron(np.random.default_rng(index).integers(1, 250, (3, 4)), np.ones((16, 16))).astype(np.uint8)
        return Sample(np.stack([label] * 3, 2), label)


def batches(data=None, world=1, rank=0, start=0, workers=0, **train):
    recipe = DataRecipe(layout="x", size=(48, 64), crop=(40, 40), workers=workers, **(data or {}))
    train = TrainRecipe(**{"steps": 5, "batch_size": 4, **train})
    return [checked(batch) for batch in train_loader(Marked(), recipe, train, start=start, rank=rank, world=world)]


def test_workers_change_nothing():
    for plain, worked in zip(batches(), batches(workers=2), strict=True):
        assert torch.equal(plain[0], worked[0]) and torch.equal(plain[1], worked[1])


def test_two_processes_see_what_one_sees():
    for one, first, second in zip(batches(), batches(world=2), batches(world=2, rank=1), strict=True):
        assert torch.equal(one[0], torch.cat([first[0], second[0]]))


def test_accumulated_parts_are_the_batch():
    whole = batches(steps=2)
    parts = batches(steps=2, accumulate=2)
    assert torch.equal(whole[1][0], torch.cat([parts[2][0], parts[3][0]]))


def test_a_later_start_goes_on_where_it_was():
    assert torch.equal(batches(start=3)[0][0], batches()[3][0])


def test_seeds_and_positions_differ():
    first, other = batches(), batches(seed=1)
    assert not torch.equal(first[0][0], other[0][0]) and not torch.equal(first[0][0], first[1][0])


def test_the_run_does_not_feel_the_loader():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    batches()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.6, 0.8), (1.5, 2.0)])
def test_image_and_label_move_together(scale):
    agree, padded = 0.0, 0
    for image, label in batches({"scale": scale}):
        assert image.dtype == torch.uint8 and image.shape[1:] == (3, 40, 40) and label.shape[1:] == (40, 40)
        inside = label != 255
        padded += int((~inside).sum())
        agree += float(((image[:, 0].int() - label.int()).abs()[inside] < 2).float().mean()) / 5
    assert agree > 0.7  # all but the squares' blended borders
    assert (padded > 0) == (scale[0] < 1)


def test_scales_are_steps_apart():
    torch.manual_seed(0)
    whole = tv_tensors.Image(torch.zeros(3, 100, 200, dtype=torch.uint8)), tv_tensors.Mask(torch.zeros(100, 200, dtype=torch.uint8))
    drawn = {tuple(SteppedScale((200, 100), (0.5, 2.0), 0.1)(*whole)[1].shape) for _ in range(300)}
    assert {height for height, _ in drawn} == {round(100 * (0.5 + 0.1 * step)) for step in range(16)} or len(drawn) == 16


def test_padding_at_the_end_is_the_mean_colour_and_ignored():
    found = 0
    for image, label in batches({"scale": (0.6, 0.6), "flip": 0, "pad": "end"}):
        outside = label == 255
        assert not outside[:, 0, 0].any() and bool((outside[:, -1, -1]).all())
        assert image.permute(0, 2, 3, 1)[outside].unique(dim=0).tolist() == [[124, 116, 104]]
        found += int(outside.sum())
    assert found > 0


def test_colour_jitter_leaves_labels_alone():
    plain, jittered = batches(), batches({"color": 0.5})
    assert torch.equal(plain[0][1], jittered[0][1]) and not torch.equal(plain[0][0], jittered[0][0])
