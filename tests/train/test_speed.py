"""What makes a step quicker changes nothing but the last bits, and nothing at all on a CPU unless it is asked for."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from edgekd.config import SpeedRecipe, TaskRecipe, TrainRecipe, TransferRecipe
from edgekd.distill.objective import Distillation
from edgekd.distill.teacher import Teacher
from edgekd.models import Segmenter
from edgekd.models.folding import fold_batch_norm
from edgekd.parts import essence
from edgekd.train.speed import quicken, set_libraries
from tests.distill.test_waiting import Tiny

CPU = torch.device("cpu")


def lively(model):
    """Batch norms as after training, or folding would be of ones and zeros."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.bias.data):
                tensor.normal_(0, 0.3, generator=generator)
            for tensor in (module.running_var, module.weight.data):
                tensor.uniform_(0.5, 1.5, generator=generator)
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("name", ["fcn-resnet10t", "lraspp-mobilenetv3_small_050"])
def test_a_folded_network_gives_what_it_gave(name):
    model = lively(Segmenter(name, 5, output_stride=32, head_channels=16))
    image = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    norms, before = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()), model(image)
    folded = fold_batch_norm(model, torch.rand(2, 3, 128, 128))
    left = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert folded == norms - left > 0 and left <= 1
    for one, other in zip(before, model(image), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


class Shared(nn.Module):
    """A convolution that something else reads too: folding it would be wrong."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return (self.norm(y) + y,)


def test_what_folding_would_change_stays():
    model, image = lively(Shared()), torch.rand(2, 3, 8, 8)
    before = model(image)[0]
    assert fold_batch_norm(model, image) == 0 and torch.equal(model(image)[0], before)


def distillation():
    return Distillation(Tiny(8), Teacher(Tiny(12)), TaskRecipe(), [TransferRecipe(method="cwd")]).train()


def test_on_a_cpu_nothing_changes_by_default(monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda self: compiled.append(self))
    objective = distillation()
    benchmark = torch.backends.cudnn.benchmark
    set_libraries(SpeedRecipe(), CPU)
    quicken(objective, TrainRecipe(precision="bf16"), CPU)
    assert objective.teacher.dtype == torch.float32 and not compiled and torch.backends.cudnn.benchmark == benchmark
    quicken(objective, TrainRecipe(speed=SpeedRecipe(compile="both")), CPU)
    assert compiled == [objective.teacher.model, objective.student]


def test_a_teacher_in_bf16_sees_images_as_before():
    objective = distillation()
    image, labels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8), torch.zeros(2, 64, 64, dtype=torch.long)
    before = objective.teacher(image, labels).logits
    quicken(objective, TrainRecipe(speed=SpeedRecipe(bf16_teacher=True)), CPU)
    after = objective.teacher(image, labels).logits
    assert after.dtype == torch.bfloat16 and objective.teacher.model.mean.dtype == torch.float32
    torch.testing.assert_close(after.float(), before, rtol=0.05, atol=0.03)
    assert torch.isfinite(torch.stack(list(objective(image, labels, 0.5).values())).sum())


def test_on_a_gpu_cudnn_is_timed_and_tf32_is_what_was_asked_for(monkeypatch):
    cudnn, matmul = SimpleNamespace(benchmark=False, allow_tf32=True), SimpleNamespace(allow_tf32=True)
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    monkeypatch.setattr(torch.backends.cuda, "matmul", matmul)
    set_libraries(SpeedRecipe(), torch.device("cuda"))
    assert cudnn.benchmark and cudnn.allow_tf32 and matmul.allow_tf32  # PyTorch's own choice
    set_libraries(SpeedRecipe(tf32=False, cudnn_benchmark=False), torch.device("cuda"))
    assert not (cudnn.benchmark or cudnn.allow_tf32 or matmul.allow_tf32)


def test_a_teacher_is_the_same_however_fast_it_was_trained():
    from edgekd.loading import load_recipe

    recipe = load_recipe("camvid")
    quick = load_recipe("camvid", [{"train": {"speed": {"compile": "both", "tf32": False}}}])
    assert essence(recipe) == essence(quick)
