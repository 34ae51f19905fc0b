"""Rare classes: weights against their formulas, and crops that show what they are drawn for."""

import numpy as np
import pytest
import torch

from edgekd.config import DataRecipe, TrainRecipe
from edgekd.data import open_split
from edgekd.data.balance import RareClasses, class_weights, count_pixels, with_class_weights
from edgekd.data.files import FileLayout
from edgekd.data.layout import Layout, Sample
from edgekd.data.loader import checked, train_loader
from edgekd.data.transforms import train_transform
from edgekd.loading import load_recipe
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError

COUNTS = np.array([[60, 30, 0, 0, 10], [80, 0, 20, 0, 0], [100, 0, 0, 0, 0]])
"""Three images of 100 pixels; class 3 is in none, and 10 pixels are ignored."""


def test_median_frequency_by_hand():
    # 240 of 300 pixels, 30 of 100, 20 of 100: the median is 0.3
    expected = [round(0.3 / 0.8, 4), 1.0, 1.5, 1.0]
    assert class_weights("median-frequency", COUNTS) == class_weights("auto", COUNTS) == expected


def test_effective_number_by_hand():
    # three images, one, one: (1 - b^3)/(1 - b) = 1 + b + b^2
    raw = np.array([1 / (1 + 0.999 + 0.999**2), 1, 1])
    assert class_weights("effective-number", COUNTS) == [*(raw / raw.mean()).round(4).tolist(), 1.0]


def test_weights_need_a_label():
    with pytest.raises(EdgeKDError, match="no labelled pixel"):
        class_weights("auto", np.array([[0, 0, 5]]))


def test_a_recipe_counts_its_training_split_once(camvid, monkeypatch, capsys):
    recipe = load_recipe("camvid", [{"data": {"root": str(camvid)}, "task": {"class_weights": "auto"}}])
    weights = with_class_weights(recipe).task.class_weights
    layout = open_split(recipe, "train")
    labels = np.stack([layout.read(index).label for index in range(len(layout))])
    frequency = [(labels == c).sum() / labels[(labels == c).any((1, 2))].size for c in range(11)]
    assert weights == pytest.approx(np.median(frequency) / frequency, abs=1e-4)
    monkeypatch.delattr(FileLayout, "read")  # the second time nothing is read
    assert with_class_weights(recipe).task.class_weights == weights
    given = recipe.model_copy(update={"task": recipe.task.model_copy(update={"class_weights": [1.0] * 11})})
    assert with_class_weights(given) is given


def test_a_damaged_mask_is_named_before_training(camvid):
    (camvid / "trainannot/003.png").write_bytes(b"no picture")
    recipe = load_recipe("camvid", [{"data": {"root": str(camvid)}}])
    with pytest.raises(EdgeKDError, match=r"003\.png"):
        count_pixels(open_split(recipe, "train"), recipe.data)


class Speck(Layout):
    """Images of one class; every fourth has a speck of 3x3 pixels of the other."""

    title = tree = ""
    classes = ClassSet(("common", "rare"), ((0, 0, 0), (255, 255, 255)))

    def __len__(self):
        return 8

    def name(self, index):
        return str(index)

    def read(self, index):
        label = np.zeros((96, 128), np.uint8)
        if index % 4 == 1:
            label[70:73, 100 - index : 103 - index] = 1
        return Sample(np.stack([label * 200] * 3, 2), label)


def batches(world=1, rank=0, start=0, workers=0, **data):
    recipe = DataRecipe(layout="x", size=(96, 128), crop=(40, 40), scale=(0.9, 1.2), workers=workers, **data)
    loader = train_loader(Speck(), recipe, TrainRecipe(steps=5, batch_size=4), start=start, rank=rank, world=world)
    return [checked(batch) for batch in loader]


def shown(found):
    return float(torch.cat([(label == 1).flatten(1).any(1) for _, label in found]).float().mean())


def test_rare_crops_show_the_rare_class():
    assert shown(batches(rare=1.0)) == 1.0 and shown(batches()) < 0.2
    assert 0.2 < shown(batches(rare=0.5)) < 0.8


def test_rare_crops_depend_on_seed_and_position_alone():
    whole = batches(rare=0.5)
    for other in (batches(rare=0.5, workers=2), [*whole[:2], *batches(rare=0.5, start=2)]):
        assert all(torch.equal(a, b) for one, two in zip(whole, other, strict=True) for a, b in zip(one, two, strict=True))
    for one, first, second in zip(whole, batches(rare=0.5, world=2), batches(rare=0.5, world=2, rank=1), strict=True):
        assert torch.equal(one[0], torch.cat([first[0], second[0]]))


def test_other_crops_are_those_without_the_option():
    """What is drawn in turn stays what it was, so two runs differ by their rare crops only."""
    plain, mixed = (torch.cat([image for image, _ in found]) for found in (batches(), batches(rare=0.3)))
    same = [torch.equal(one, two) for one, two in zip(plain, mixed, strict=True)]
    assert 0.4 < sum(same) / len(same) < 1


def test_chances_are_the_softmax_over_the_classes_shown():
    frequency = np.array([240, 30, 20]) / 290
    weights = np.exp((1 - frequency) / 0.01)
    np.testing.assert_allclose(RareClasses(COUNTS).chances, [*(weights / weights.sum()), 0])
    assert RareClasses(np.array([[0, 0, 9]])).draw(np.random.default_rng(0)) is None


@pytest.mark.parametrize("place", [(0, 0), (59, 79), (30, 0), (2, 78)])
@pytest.mark.parametrize("size", [(32, 32), (60, 80), (90, 100)])
def test_the_crop_holds_its_pixel_at_any_place_and_size(place, size):
    recipe = DataRecipe(layout="x", size=(60, 80), crop=size, scale=(1.0, 1.0), flip=0)
    label = torch.zeros(60, 80, dtype=torch.uint8)
    label[place] = 1
    transform = train_transform(recipe, torch.tensor([0.0, 1.0]))
    for _ in range(5):
        image, mask = transform(Sample(label[..., None].expand(-1, -1, 3).numpy() * 100, label.numpy()))
        assert image.shape[1:] == mask.shape == size and int((mask == 1).sum()) == 1
        assert torch.equal(image[0] == 100, mask == 1)


def test_blur_smooths_the_image_and_leaves_the_label():
    plain, blurred, never = batches(), batches(blur=1.0), batches(blur=1e-9)
    assert all(torch.equal(one[1], two[1]) for one, two in zip(plain, blurred, strict=True))
    assert all(torch.equal(one[0], two[0]) for one, two in zip(plain, never, strict=True))
    sharp, soft = (torch.cat([image for image, _ in found]).float() for found in (batches(rare=1.0), batches(rare=1.0, blur=1.0)))
    assert soft.var() < 0.9 * sharp.var() and float(soft.mean()) == pytest.approx(float(sharp.mean()), rel=0.05)
