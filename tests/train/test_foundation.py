"""A foundation model as a teacher: a frozen vision transformer with a trained head, which a convolutional student learns from."""

import pytest
import timm
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

import tests.models.small  # noqa: F401  (registers small transformers with timm)
from edgekd import parts, pipeline
from edgekd.cli import main
from edgekd.config import Recipe
from edgekd.distill.teacher import Teacher
from edgekd.distill.windows import look_through
from edgekd.loading import validate
from edgekd.models import Segmenter, SegOutput, load_network
from edgekd.models.build import build_network
from edgekd.runs import Run
from edgekd_runtime.errors import UsageError
from tests.conftest import TINY


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """What a pretrained transformer is: its tensors in a file, position embedding and all."""
    torch.manual_seed(3)
    file = tmp_path_factory.mktemp("weights") / "small_dinov2.safetensors"
    save_file(timm.create_model("small_dinov2").state_dict(), file)
    return file


def recipe_of(weights, **update):
    teacher = {"model": {"name": "fpn-small_dinov2", "head_channels": 16, "weights": str(weights), "body": "freeze"}, "window": [32, 48]}
    few = {"data": TINY["data"] | {"options": {"size": [48, 64], "count": 4}}, "train": TINY["train"] | {"batch_size": 2}}
    return TINY | few | {"teacher": teacher, "student": {"name": "fpn-tf_efficientnet_lite0", "head_channels": 16}} | update


def test_a_frozen_transformer_teaches_an_efficientnet_and_a_pidnet_from_the_command_line(weights, tmp_path, monkeypatch):
    """Logits at stride 4 and 8, windows for the teacher. Its body stays bit for bit; its pyramid and head learn."""
    monkeypatch.chdir(tmp_path)
    student = {"name": "lraspp-tf_efficientnet_lite0", "head_channels": 16}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe_of(weights, student=student)))
    result = CliRunner().invoke(main, ["distill", "--recipe", "recipe.yaml", "--steps", "2", "--out", "runs/student"])
    assert result.exit_code == 0, result.output
    (run,) = (folder for folder in (tmp_path / "runs").iterdir() if "teacher" in folder.name)
    teacher, _ = load_network(run)
    given = load_file(weights)
    kept = teacher.backbone.net.model.state_dict()
    assert len(kept) > 30 and all(torch.equal(value, given[key]) for key, value in kept.items())
    torch.manual_seed(0)
    fresh = build_network(parts.teacher_part(validate(Recipe, recipe_of(weights), "")).student, 9)
    for part in (teacher.backbone.pyramid, teacher.head):
        pairs = zip(
            part.parameters(), (fresh.backbone.pyramid if part is teacher.backbone.pyramid else fresh.head).parameters(), strict=True
        )
        assert all(not torch.equal(one, other) for one, other in pairs)
    load_network(tmp_path / "runs/student")
    command = ["distill", "--recipe", "recipe.yaml", "--student", "pidnet-s", "--teacher", str(run), "--steps", "1", "--out", "runs/pidnet"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    (step,) = [record for record in Run(tmp_path / "runs/pidnet").history() if "parts" in record]
    assert {"task", "auxiliary", "boundary", "cwd"} <= set(step["parts"])
    student, about = load_network(tmp_path / "runs/pidnet")
    assert about.model.name == "pidnet-s" and "boundary" in student.training_only


def test_a_frozen_body_without_weights_is_refused_before_training(weights, tmp_path):
    recipe = validate(Recipe, recipe_of(weights), "")
    bare = recipe.model_copy(update={"student": recipe.student.model_copy(update={"body": "freeze"})})
    for part in (parts.student_part(bare), bare):
        with pytest.raises(UsageError, match=r"frozen body of fpn-tf_efficientnet_lite0 has no weights: set weights"):
            (pipeline.distill if part is bare else pipeline.train)(part, tmp_path / "run")
    assisted = bare.model_copy(update={"teacher": bare.teacher.model_copy(update={"model": None, "label_assisted": True})})
    with pytest.raises(UsageError, match=r"set student\.body=train"):
        pipeline.train(parts.teacher_part(assisted), tmp_path / "run")


class Local(torch.nn.Module):
    """A network that sees nothing but the pixel itself: through windows it gives what it gives of the whole."""

    grid, num_classes = 16, 3

    def forward(self, image):
        logits = image[..., ::4, ::4] * 2
        return SegOutput(logits, image[..., ::8, ::8].square(), None)


@pytest.mark.parametrize("size", [(96, 160), (90, 150)])
def test_windows_of_a_local_network_give_the_whole(size):
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    whole, seen = Local()(image), look_through(Local(), image, (40, 64))
    torch.testing.assert_close(seen.logits, whole.logits)
    torch.testing.assert_close(seen.features, whole.features)
    assert seen.aux_logits is None


def test_overlapping_windows_are_averaged():
    """Worked out: windows of 32 at 0, 16 and 32 of 64 columns (two thirds of 32, on the grid of 16), each giving its own mean."""
    model = Segmenter("fpn-resnet10t", 3, head_channels=8).eval()
    image = torch.randn(1, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    model.multiple = 16
    with torch.no_grad():
        views = [model(image[..., start : start + 32]) for start in (0, 16, 32)]
        seen = Teacher(model, window=(32, 32))
        given = look_through(model, image, (32, 32))
    for name, stride in (("logits", 4), ("features", 4), ("aux_logits", 16)):
        expected = torch.zeros_like(getattr(given, name))
        for index, view in enumerate(views):
            expected[..., 16 // stride * index : 16 // stride * index + 32 // stride] += getattr(view, name)
        expected[..., 16 // stride : 48 // stride] /= 2
        torch.testing.assert_close(getattr(given, name), expected)
    whole = look_through(model, image, (32, 64))
    assert torch.equal(whole.logits, model(image).logits) and not torch.allclose(whole.logits, given.logits)
    pixels = torch.randint(0, 256, (1, 3, 32, 64), dtype=torch.uint8)
    torch.testing.assert_close(seen(pixels, torch.zeros(1, 32, 64)).logits, look_through(model, model.normalize(pixels), (32, 32)).logits)
