"""The teacher's outputs on disk: exact to float16, the same run whatever was kept, never of another teacher, refused where useless."""

import pytest
import torch

from edgekd import parts, pipeline
from edgekd.config import ModelRecipe, Recipe
from edgekd.distill.cache import OutputCache
from edgekd.distill.teacher import Teacher
from edgekd.loading import merge, validate
from edgekd.models import build_network, load_network
from edgekd_runtime.errors import UsageError
from tests.conftest import TINY

SMALL = ModelRecipe(name="lraspp-mobilenetv3_small_050", output_stride=32, head_channels=16, auxiliary=False)
FIXED = {"data": {"scale": [1, 1]}, "teacher": {"cache": 1}}


def images(seed=0, count=3):
    return torch.randint(0, 256, (count, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def cached(seed=0, limit=1e9, features=False, expected=100):
    torch.manual_seed(seed)
    teacher = Teacher(build_network(SMALL, 4), needs_auxiliary=False)
    teacher.cache = OutputCache(expected, limit, features)
    return teacher


def look(teacher, batch):
    return teacher(batch, torch.zeros(len(batch), 32, 48, dtype=torch.long))


@pytest.mark.parametrize("features", [False, True])
def test_what_is_read_is_what_was_computed(features, cache):
    teacher, batch = cached(features=features), images()
    direct = teacher._look(batch, torch.zeros(0))
    first, again = look(teacher, batch), look(cached(features=features), batch.flip(0))
    assert torch.equal(first.logits, again.logits.flip(0)) and first.logits.dtype == torch.float32
    assert torch.allclose(first.logits, direct.logits, rtol=2**-10, atol=1e-4)
    assert (first.features is not None) == features and first.aux_logits is None
    assert not features or torch.equal(first.features, again.features.flip(0))
    mixed = look(teacher, torch.cat([images(1), batch]))
    assert torch.equal(mixed.logits[3:], first.logits) and (teacher.cache.hits, teacher.cache.computed) == (3, 6)


def test_another_teacher_another_scale_and_another_image_are_other_entries(cache):
    first, batch = cached(), images()
    look(first, batch)
    for other, shown in ((cached(seed=1), batch), (cached(), batch ^ 1)):
        look(other, shown)
        assert other.cache.hits == 0
    scaled = cached()
    scaled.scale = 2.0
    look(scaled, batch)
    assert scaled.cache.hits == 0 and len(list((cache / "teacher").iterdir())) == 3


def test_a_damaged_file_is_made_again_and_the_limit_holds(cache):
    first, batch = cached(), images()
    whole = look(first, batch).logits
    files = sorted((cache / "teacher").glob("*/??/*"))
    files[0].write_bytes(files[0].read_bytes()[:-1] + b"x")
    files[1].write_bytes(b"")
    again = cached()
    assert torch.equal(look(again, batch).logits, whole) and (again.cache.hits, again.cache.computed) == (1, 2)
    small = cached(seed=1, limit=1.5 * files[2].stat().st_size)
    look(small, images(2, 5))
    assert len(list(cache.glob("teacher/*/??/*"))) == 3 + 1


def test_images_that_never_come_again_are_said_and_not_kept(cache, capsys):
    teacher = cached(expected=4)
    look(teacher, images(0, 6))
    assert len(list(cache.glob("teacher/*/??/*"))) == 4
    assert "does not help" in " ".join(capsys.readouterr().err.split())


def test_a_run_is_the_same_whatever_was_kept(tmp_path, capsys):
    recipe = validate(Recipe, merge(TINY, FIXED), "fixed")
    pipeline.train(parts.teacher_part(recipe), tmp_path / "teacher")
    recipe = parts.with_teacher_run(recipe, tmp_path / "teacher")
    for name in ("cold", "warm"):
        pipeline.distill(recipe, tmp_path / name)
    said = " ".join(capsys.readouterr().err.split())
    assert "24 of 24 outputs of the teacher were read, 0 computed" in said and "up to 32 images" in said
    cold, warm = (load_network(tmp_path / name)[0].state_dict() for name in ("cold", "warm"))
    assert all(torch.equal(cold[name], warm[name]) for name in cold)


@pytest.mark.parametrize(
    ("piece", "mend"),
    [
        ({"data": {"scale": [0.5, 2]}}, "data.scale=[1,1]"),
        ({"data": {"crop": [32, 32]}}, "data.crop=[48, 64]"),
        ({"data": {"color": 0.2}}, "data.color=0"),
        ({"data": {"rare": 0.2}}, "data.rare=0"),
        ({"teacher": {"label_assisted": True}}, "label_assisted=false"),
    ],
)
def test_random_augmentation_is_refused_with_the_mend(piece, mend):
    recipe = validate(Recipe, merge(merge(TINY, FIXED), piece), "r")
    with pytest.raises(UsageError, match=r"or leave teacher\.cache out") as error:
        parts.check_cache(recipe)
    assert mend in str(error.value)
    parts.check_cache(validate(Recipe, merge(TINY, FIXED), "r"))
