"""No step makes a GPU wait for its host: every transfer and weighting is counted, forward, backward and optimiser; and the forms that a GPU
takes give what the CPU's do."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.config import ModelRecipe, TaskRecipe, TransferRecipe
from edgekd.distill import cirkd, device, fakd, grouped, processes, rdd
from edgekd.distill import functional as L
from edgekd.distill.cirkd import Memory
from edgekd.distill.grouped import Grouped
from edgekd.distill.lad import LabelNoiser
from edgekd.distill.objective import Distillation, LabelAssisted
from edgekd.distill.registry import TRANSFERS
from edgekd.distill.statistics import ClassStatistics
from edgekd.distill.task import TASKS
from edgekd.distill.teacher import Teacher
from edgekd.models import Network, SegOutput
from edgekd.train.average import MovingAverage
from tests.distill.waiting import Waiting

C = 5


@pytest.fixture
def gpu(monkeypatch):
    """The forms that a GPU takes, here."""
    for module in (device, cirkd, fakd, grouped, rdd):
        monkeypatch.setattr(module, "may_look", lambda value: False)


def batch(images=2):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (images, 3, 64, 64), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, C, (images, 4, 4), generator=generator).repeat_interleave(16, 1).repeat_interleave(16, 2)
    labels[:, :5] = 255
    return image, labels


class Tiny(Network):
    """One convolution, a classifier and an auxiliary one: what the losses do is counted, not what a backbone does."""

    gives = frozenset({"features", "classifier", "auxiliary"})
    body = quantised = ()

    def __init__(self, channels, in_channels=3):
        super().__init__(ModelRecipe(name="tiny-tiny"), C, in_channels, mean=(0.5,) * 3, std=(0.5,) * 3)
        self.stem, self.classifier = nn.Conv2d(in_channels, channels, 3, 4, 1), nn.Conv2d(channels, C, 1)
        self.auxiliary = nn.Conv2d(channels, C, 1)

    def forward(self, image):
        features = self.stem(image)
        return SegOutput(self.classifier(features), features, self.auxiliary(features))

    def deployable(self):
        raise NotImplementedError


def distillation(task=None, *transfers):
    return Distillation(Tiny(8), Teacher(Tiny(12)), task or TaskRecipe(), [TransferRecipe(**options) for options in transfers]).train()


def waits(objective, progress):
    """What a whole step waits for."""
    optimizer = torch.optim.SGD([parameter for parameter in objective.parameters() if parameter.requires_grad], 0.01, momentum=0.9)
    image, labels = batch()
    models = [objective, *([objective.teacher.model] if isinstance(objective, Distillation) else [])]
    waiting = Waiting([image, labels, *(tensor for model in models for tensor in (*model.parameters(), *model.buffers()))])
    with waiting:
        torch.stack(list(objective(image, labels, progress).values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert waiting.launched > 50
    return waiting.found


@pytest.mark.parametrize("weighting", TASKS)
def test_no_weighting_waits(gpu, weighting):
    task = TaskRecipe(weighting=weighting, min_kept=500, warmup=0.3, class_weights=[1.0] * C, dice=0.5)
    for progress in (0.1, 0.5):
        assert waits(distillation(task), progress) == []


@pytest.mark.parametrize("method", TRANSFERS)
def test_no_transfer_waits(gpu, method):
    assert waits(distillation(None, {"method": method}), 0.5) == []


def test_neither_full_covariances_nor_label_assistance_wait(gpu):
    assert waits(distillation(None, {"method": "fakd-pd", "covariance": "full"}), 0.5) == []
    assert waits(LabelAssisted(Tiny(8, in_channels=4), TaskRecipe(), LabelNoiser(C)).train(), 0.5) == []


def test_what_waits_is_found():
    """Or the counts above would say nothing."""
    x = torch.randn(8)
    host = torch.arange(3)
    looks = (
        lambda: x.sum().item(),
        lambda: x.tolist(),
        lambda: bool(x.any()),
        lambda: x.cpu(),
        lambda: x[x > 0],
        lambda: x.masked_fill(x > 0, 0.0).nonzero(),
        lambda: x.clone().index_put_((x > 0,), x.new_ones(1)),
        lambda: torch.bincount((x > 0).long()),
        lambda: x.long().unique(),
        lambda: x[host.to(x.device)],
        lambda: torch.tensor([1.0, 2.0], device=x.device),
        lambda: F.one_hot((x > 0).long(), 2),
    )
    for look in looks:
        with Waiting([x]) as waiting:
            look()
        assert waiting.found, look
    with Waiting([x]) as waiting:
        assert int(host.sum()) == 3 and x[host.to(x.device, non_blocking=True)].shape == (3,)
        torch.where(x > 0, x, 0).sort(), x.argsort(), x.gather(0, x.argmax()[None])
    assert waiting.found == []


def both(monkeypatch, form):
    """What `form` gives as a CPU computes it and as a GPU does."""
    results = []
    for looks in (True, False):
        with monkeypatch.context() as patch:
            for module in (cirkd, fakd, grouped, rdd):
                patch.setattr(module, "may_look", lambda value, looks=looks: looks)
            results.append(form())
    return results


def random(*shape, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


LABELS = torch.randint(0, C + 1, (3, 9, 11), generator=torch.Generator().manual_seed(4))
LABELS[LABELS == C] = 255
LABELS[LABELS == 3] = 1  # a class that is nowhere


@pytest.mark.parametrize("scale", [1.0, 60.0])
@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_fakd_is_the_same_on_both(monkeypatch, scale, covariance):
    """At the larger scale float32's product underflows."""
    variance = random(C, 4).square()
    variance = torch.diag_embed(variance) + 0.1 if covariance == "full" else variance
    s = random(3, C, 9, 11, scale=scale).float().requires_grad_()

    def form():
        loss = L.augmented_pixel_kd(s, random(3, C, 9, 11).float(), LABELS, random(C, 4).float(), variance.float(), 0.7)
        return loss.detach(), *torch.autograd.grad(loss, s)

    here, there = both(monkeypatch, form)
    torch.testing.assert_close(here, there, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kept", [1, 40, 10**6])
@pytest.mark.parametrize("threshold", [0.001, 0.5])
def test_hard_pixels_are_the_same_on_both(monkeypatch, kept, threshold):
    here, there = both(monkeypatch, lambda: L.hard_pixels(random(3, C, 9, 11), LABELS, threshold, kept))
    assert torch.equal(here, there) and here.any()


def test_pairs_at_a_time_are_the_pairs_one_by_one(monkeypatch):
    values = []
    for looks, at_once in ((True, 1), (False, 1), (False, 3 * 99**2), (False, 1 << 26)):
        monkeypatch.setattr(cirkd, "may_look", lambda value, looks=looks: looks)
        monkeypatch.setattr(cirkd, "_AT_ONCE", {looks: at_once})
        s = random(7, 4, 9, 11).requires_grad_()
        loss = L.cross_image_similarity(s, random(7, 6, 9, 11))
        values.append((loss.detach(), *torch.autograd.grad(loss, s)))
    for value in values[1:]:
        torch.testing.assert_close(value, values[0])


@pytest.mark.parametrize("looks", [True, False])
def test_groups_hold_every_row_once(monkeypatch, looks):
    monkeypatch.setattr(grouped, "may_look", lambda value: looks)
    classes = LABELS.flatten().clamp(max=C)
    rows = random(len(classes), 3)
    groups = Grouped(classes, C + 1, 16)
    totals = torch.zeros(C + 1, 3, dtype=rows.dtype).index_copy(0, groups.classes, groups.total(groups.lay(rows).sum(1)))
    torch.testing.assert_close(totals, torch.zeros_like(totals).index_add(0, classes, rows))
    assert (3 in groups.classes.tolist()) is not looks


def test_full_covariances_are_the_same_on_both(monkeypatch):
    def form():
        statistics = ClassStatistics(C, 4, full=True)
        for seed in range(2):
            statistics.update(random(297 + seed, 4)[:297].float(), LABELS.flatten())
        return statistics.variance

    here, there = both(monkeypatch, form)
    torch.testing.assert_close(here, there)


def pushed_one_by_one(memory, classes, entries):
    """The loop that `Memory.push` stands for."""
    queue, pointer = memory.queue.clone(), memory.pointer.clone()
    for index, entry in zip(classes.tolist(), entries, strict=True):
        if index < len(queue):
            queue[index, pointer[index]] = entry
            pointer[index] = (pointer[index] + 1) % queue.shape[1]
    return queue, pointer


@pytest.mark.parametrize("size", [4, 64])
def test_a_push_writes_each_class_in_order_over_its_oldest(size):
    """Also where a queue is shorter than what comes."""
    memory, generator = Memory(C, size, 3, 10), torch.Generator().manual_seed(1)
    for _ in range(3):
        classes = torch.randint(0, C + 1, (30,), generator=generator)
        entries = torch.randn(30, 3, generator=generator)
        expected = pushed_one_by_one(memory, classes, entries)
        memory.push(classes, entries, 30)
        assert torch.equal(memory.queue, expected[0]) and torch.equal(memory.pointer, expected[1])


def test_the_memories_get_each_images_means_and_some_of_its_own_pixels():
    memories = distillation(None, {"method": "cirkd", "pixels": 3}).transfers["cirkd"]
    region, pixel = memories.region_memory, memories.pixel_memory
    features, labels = random(3, pixel.queue.shape[2], 9, 11).float(), LABELS
    memories._enqueue(features, labels)
    at = dict.fromkeys(range(C), 0)
    taken = dict.fromkeys(range(C), 0)
    for image, classes in zip(features.flatten(2).mT, labels.flatten(1), strict=True):
        for index in classes[classes < C].unique().tolist():
            own = image[classes == index]
            torch.testing.assert_close(region.queue[index, at[index]], F.normalize(own.mean(0), dim=0))
            drawn = pixel.queue[index, taken[index] : taken[index] + min(3, len(own))]
            same = (drawn[:, None] == own).all(2)
            assert same.any(1).all() and same.any(0).sum() == len(drawn)  # of its own, each once
            at[index], taken[index] = at[index] + 1, taken[index] + len(drawn)
    assert region.pointer.tolist() == list(at.values()) and pixel.pointer.tolist() == list(taken.values())
    assert int(pixel.step) == int(region.step) == 1


def test_a_loaded_memory_goes_on_with_its_own_draws():
    memory = Memory(C, 8, 3, 20)
    for _ in range(5):
        memory.sample()
        memory.advance()
    other = Memory(C, 8, 3, 20)
    other.sample()
    other.load_state_dict(memory.state_dict())
    assert torch.equal(other.sample(), memory.sample())


def test_a_seed_is_drawn_from_the_runs_own_generator():
    torch.manual_seed(3)
    first = processes.sample_seed(4)
    torch.manual_seed(3)
    assert first == processes.sample_seed(4) != processes.sample_seed(4)


def test_the_moving_average_does_not_wait():
    model = Tiny(8)
    average = MovingAverage(model, 0.9)
    with Waiting([tensor for each in (model, average) for tensor in (*each.parameters(), *each.buffers())]) as waiting:
        for _ in range(2):
            average.update_parameters(model)
    assert waiting.found == [] and waiting.launched
    again = MovingAverage(model, 0.9)
    again.load_state_dict(average.state_dict())
    again.update_parameters(model)
    assert int(again.n_averaged) == 3
