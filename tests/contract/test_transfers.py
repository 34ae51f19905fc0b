"""Every registered transfer through one contract, each driven through its module as training drives it."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import multiprocessing, nn

from edgekd.config import TaskRecipe, TransferRecipe
from edgekd.distill import adversarial, afdcd, bpkd, cirkd, objective
from edgekd.distill import task as task_file
from edgekd.distill.adversarial import Adversarial
from edgekd.distill.afdcd import DenseContrast
from edgekd.distill.cirkd import Memory
from edgekd.distill.class_map import Affine
from edgekd.distill.fakd import AugmentedKD
from edgekd.distill.lad import LabelNoiser
from edgekd.distill.objective import LabelAssisted, check_needs
from edgekd.distill.registry import TRANSFERS, build_transfer, transfer_reads
from edgekd.distill.statistics import ClassStatistics
from edgekd.distill.task import DifficultyTask
from edgekd.distill.transfer import NEEDS, Maps, Pair, Widths
from edgekd.models import SegOutput
from edgekd_runtime.errors import UsageError
from tests.contract import two_processes

transfers = pytest.mark.parametrize("method", TRANSFERS)


def build(peers, method, classes=None, **options):
    torch.manual_seed(0)
    size, recipe = peers.TINY, TransferRecipe(method=method, **peers.SMALL.get(method, {}) | options)
    return build_transfer(recipe, Widths(classes or size.classes, size.student, size.teacher))[1].double().train()


def pairs(peers, ignored=0.3):
    return [step.pair() for step in peers.steps(peers.TINY, ignored)]


def losses(module, pairs, before=lambda: None):
    values = []
    for pair in pairs:
        before()
        values.append(float(module(pair).detach()))
    return values


def state(module):
    """Buffers that a checkpoint keeps, but for what no later loss reads: batch norm's running statistics, and of spectral norm's two
    vectors the one that each step computes from the other."""
    norms = [name for name, child in module.named_modules() if isinstance(child, nn.modules.batchnorm._BatchNorm)]
    kept = module.state_dict()
    return {
        key: value
        for key, value in module.named_buffers()
        if key in kept and key.rpartition(".")[0] not in norms and not key.endswith("._u")
    }


class Watched:
    """A pair, or an output, that notes what is read of it."""

    def __init__(self, value, notes, name=""):
        self._of, self._notes, self._name = value, notes, name

    def __getattr__(self, key):
        name = f"{self._name}.{key}".lstrip(".")
        self._notes.add(name)
        value = getattr(self._of, key)
        return Watched(value, self._notes, name) if isinstance(value, Maps) else value


CANCELS = {"adversarial": "discriminator.11.bias"}
"""Parameters that within the margins of both hinges raise one as much as they lower the other."""
READ = {
    "features": {"student.features", "teacher.features"},
    "classifier": {"student.features", "classifier"},
    "auxiliary": {"student.aux_logits", "teacher.aux_logits"},
    "labels": {"labels"},
}


def notes_of(module, pair):
    notes = set()
    module(Watched(pair, notes))
    return notes


@transfers
def test_says_where_it_comes_from(method):
    kind = TRANSFERS[method]
    assert kind.paper and kind.summary and not kind.summary.endswith(".") and kind.default_weight > 0
    assert kind.needs <= set(NEEDS) and set(kind.companions) <= set(TRANSFERS)


@pytest.mark.parametrize(("method", "options"), [*((name, {}) for name in TRANSFERS), ("cwd", {"maps": "features"})])
def test_reads_what_it_declares_and_nothing_else(method, options, peers):
    declared = transfer_reads(TransferRecipe(method=method, **options))
    allowed = {"student", "teacher", "student.logits", "teacher.logits", "progress"}.union(*(READ[need] for need in declared))
    notes = notes_of(build(peers, method, **options), pairs(peers)[1])
    assert notes <= allowed
    assert all(READ[need] & notes for need in declared)


def teacher(model):
    return SimpleNamespace(model=model, classes=None)


@transfers
def test_a_model_that_lacks_it_is_refused_before_training(method):
    complete = set(NEEDS)
    for need in transfer_reads(TransferRecipe(method=method)):
        for role in NEEDS[need]:
            models = {each: SimpleNamespace(gives=complete - ({need} if each == role else set())) for each in ("student", "teacher")}
            with pytest.raises(UsageError, match=f"The transfer {method} reads .* this {role} "):
                check_needs(models["student"], teacher(models["teacher"]), TaskRecipe(), [TransferRecipe(method=method)])
    whole = SimpleNamespace(gives=complete)
    check_needs(whole, teacher(whole), TaskRecipe(), [TransferRecipe(method=method)])


@pytest.mark.parametrize("edge", ["all ignored", "one class seen", "one class known"])
@pytest.mark.parametrize("autocast", [False, True])
@transfers
def test_is_finite_at_the_edges(method, autocast, edge, peers):
    """In float32, under autocast with bf16 maps. Several steps: what was remembered of the edge must not hurt either."""
    classes = 1 if edge == "one class known" else peers.TINY.classes
    module = build(peers, method, classes).float()
    dtype = torch.bfloat16 if autocast else torch.float32
    for step in peers.steps(peers.TINY, 0.0):
        labels = torch.full_like(step.labels, 255 if edge == "all ignored" else 0)
        fs, aux_s, zt, ft, aux_t = (value.detach().to(dtype) for value in step[:5])
        zt, aux_s, aux_t = (value[:, :classes] for value in (zt, aux_s, aux_t))
        fs.requires_grad_()
        classifier = nn.Conv2d(peers.TINY.student, classes, 1)
        affine = Affine(classifier.weight, classifier.bias)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = module(Pair(Maps(classifier(fs), fs, aux_s), Maps(zt, ft, aux_t), labels, affine, step.progress))
        gradients = torch.autograd.grad(loss, [fs, *module.parameters()], allow_unused=True, materialize_grads=True)
        assert loss.dtype == torch.float32 and bool(loss.isfinite()) and all(bool(g.isfinite().all()) for g in gradients)


@transfers
def test_every_parameter_is_trained(method, peers):
    module = build(peers, method)
    for parameter in module.parameters():  # also behind gates that start at 0
        parameter.data += 0.1 * torch.randn_like(parameter)
    loss = module(pairs(peers)[1])
    for name, parameter in module.named_parameters():
        if name == CANCELS.get(method):
            continue
        (gradient,) = torch.autograd.grad(loss, parameter, retain_graph=True)
        assert float(gradient.abs().max()) > 0, name


@transfers
def test_nothing_is_remembered_of_validation(method, peers):
    module = build(peers, method).eval()
    before = {key: value.clone() for key, value in module.named_buffers()}
    losses(module, pairs(peers))
    assert all(torch.equal(value, before[key]) for key, value in module.named_buffers())


@transfers
def test_everything_remembered_moves_and_counts(method, peers):
    """What is put back to its start before every step must change the losses: the contract of statistics, memories, counters."""
    module = build(peers, method)
    start = {key: value.clone() for key, value in module.state_dict().items()}
    unbroken = losses(module, pairs(peers))
    for key, value in state(module).items():
        assert not torch.equal(value, start[key]), f"{key} never moves"
        other = build(peers, method)
        held = state(other)[key]
        assert losses(other, pairs(peers), partial(held.copy_, start[key])) != unbroken, f"{key} counts for nothing"


@transfers
def test_a_schedule_shows(method, peers):
    pair = pairs(peers)[1]
    if "progress" in notes_of(build(peers, method), pair):
        values = {losses(build(peers, method), [replace(pair, progress=share)])[0] for share in (0.0, 0.3, 0.6, 1.0)}
        assert len(values) == 4


@transfers
def test_goes_on_where_it_stopped(method, peers):
    whole = losses(build(peers, method), pairs(peers))
    first, second = build(peers, method), build(peers, method)
    losses(first, pairs(peers)[:2])
    second.load_state_dict(first.state_dict())
    assert losses(second, pairs(peers)[2:]) == whole[2:]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What two processes found, and one."""
    folder = str(tmp_path_factory.mktemp("processes"))
    multiprocessing.spawn(two_processes.run, (2, folder), nprocs=2)
    two_processes.run(0, 1, folder)
    return [torch.load(f"{folder}/{name}.pt") for name in ("0-of-2", "0-of-1")]


@transfers
def test_two_processes_are_one(method, shared):
    """Losses, gradients and state."""
    two, one = (results[method] for results in shared)
    assert set(two) == set(one)
    for key, value in one.items():
        torch.testing.assert_close(two[key].double(), value.double(), rtol=1e-7, atol=1e-10, msg=lambda text, key=key: f"{key}: {text}")


def test_every_transfer_has_a_peer(peers):
    assert set(TRANSFERS) <= set(peers.CASES), "benchmarks/peers.py wants an independent evaluation of it"


def agrees(peers, name, shares=(0.3,)):
    for ignored in shares:
        value, gradient = peers.differences(peers.CASES[name], peers.TINY, ignored)
        assert value <= peers.LIMIT and gradient <= peers.LIMIT


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        import sys
        from pathlib import Path

        sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
        import peers

        metafunc.parametrize("case", peers.CASES)


def test_every_loss_agrees_with_its_independent_evaluation(case, peers):
    agrees(peers, case, peers.IGNORED)


# ---- a line of state or schedule that does nothing is noticed ----


def forgets(length, self, *given, push=Memory.push):
    """A queue of that length takes nothing in."""
    if self.queue.shape[1] != length:
        push(self, *given)


def stands_still(self, *given, push=Memory.push):
    """Every entry goes to the first slots."""
    push(self, *given)
    self.pointer.zero_()


def whole_batch(*arguments, loss=task_file.relative_difficulty_loss, **options):
    """`min_kept` of one image for all."""
    *rest, kept = arguments
    return loss(*rest, kept // 2, **options)


def fresh_noise(peers):
    """LAD's teacher sees another noise on either path and in every step."""
    seen = []

    class Network(nn.Module):
        num_classes, backbone = 5, None

        def normalize(self, image):
            return image.float()

        def forward(self, image):
            seen.append(image[:, 3].clone())
            return SegOutput(image[:, :1].expand(-1, 5, -1, -1) * 1.0, image, None)

    torch.manual_seed(0)
    of_lad = LabelAssisted(Network(), TaskRecipe(), LabelNoiser(5))
    for _ in range(2):
        of_lad(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.zeros(2, 8, 8, dtype=torch.long), 0.0)
    noises = [image for path in seen for image in path]
    assert len(noises) == 8 and len({float(noise.sum()) for noise in noises}) == 8


def of_loss(name):
    return partial(agrees, name=name)


MUTATIONS = {
    "FAKD: statistics are not updated": (of_loss("fakd-cwd"), ClassStatistics, "update", lambda self, features, labels: None),
    "FAKD: only the last batch counts": (
        of_loss("fakd-pd"),
        ClassStatistics,
        "_merge",
        lambda self, count, mean, squares: self.variance.copy_(squares / count.clamp_min(1)[:, None]),
    ),
    "FAKD: λ is λ0 from the start": (of_loss("fakd-pd"), AugmentedKD, "schedule", lambda self, progress: self.strength),
    "FAKD: λ is 0": (of_loss("fakd-cwd"), AugmentedKD, "schedule", lambda self, progress: 0.0),
    "CIRKD: the pixel queue takes nothing in": (of_loss("cirkd"), Memory, "push", lambda *a: forgets(9, *a)),
    "CIRKD: the region queue takes nothing in": (of_loss("cirkd"), Memory, "push", lambda *a: forgets(4, *a)),
    "CIRKD: the queues don't go round": (of_loss("cirkd"), Memory, "push", stands_still),
    "CIRKD: every step draws the same": (of_loss("cirkd"), Memory, "generator", lambda self: torch.Generator().manual_seed(0)),
    "CIRKD: ignored pixels are anchors": (
        of_loss("cirkd"),
        cirkd,
        "memory_similarity",
        lambda *a, loss=cirkd.memory_similarity: loss(*a[:5]),
    ),
    "LAD: noise is drawn once": (fresh_noise, objective, "sample_seed", lambda images: 1),
    "LAD: the images share their noise": (
        fresh_noise,
        LabelNoiser,
        "forward",
        lambda self, labels, seed, draw=LabelNoiser.forward: draw(self, labels[:1], seed).expand(len(labels), -1, -1, -1),
    ),
    "BPKD: the band has no width": (of_loss("bpkd"), bpkd, "_dilated", lambda mask, radius: mask),
    "Af-DCD: nothing is masked": (of_loss("afdcd"), DenseContrast, "_seen", lambda self, features: torch.ones_like(features[:, :1])),
    "Af-DCD: masks are drawn once": (of_loss("afdcd"), afdcd, "world_size", lambda: 0),
    "RDD: no warm-up": (of_loss("rdd"), DifficultyTask, "prepare", lambda self, teacher, labels, progress: task_file.Shared()),
    "RDD: min_kept of the batch": (of_loss("rdd"), task_file, "relative_difficulty_loss", whole_batch),
    "adversarial: the student learns nothing": (
        of_loss("adversarial"),
        adversarial,
        "_large_enough",
        lambda x, scores=adversarial._large_enough: scores(x).detach(),
    ),
    "adversarial: the discriminator learns nothing": (
        of_loss("adversarial"),
        Adversarial,
        "forward",
        lambda self, pair: (
            -self.generator * self.discriminator.requires_grad_(False)(adversarial._large_enough(pair.student.logits)).mean()
        ),
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_line_that_does_nothing_is_noticed(mutation, peers, monkeypatch):
    check, owner, name, instead = MUTATIONS[mutation]
    check(peers)
    monkeypatch.setattr(owner, name, instead)
    with pytest.raises((AssertionError, RuntimeError)):
        check(peers)
