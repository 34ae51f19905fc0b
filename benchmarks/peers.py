"""Every loss, driven as training drives it, beside an independent evaluation of its formula in float64: value and gradient.

python benchmarks/peers.py [--out benchmarks/results/peers.json]

A row is a loss at a share of ignored pixels. It runs over several steps with different data, so that statistics, memories and
schedules count; `peer_state.py` and `direct.py` hold the evaluations. Both sides draw the same random numbers.
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import direct
import peer_state
import torch
from torch import Tensor, nn

from edgekd.config import TaskRecipe, TransferRecipe
from edgekd.distill.class_map import Affine
from edgekd.distill.lad import LabelNoiser
from edgekd.distill.registry import build_transfer
from edgekd.distill.task import TASKS
from edgekd.distill.transfer import Maps, Pair, Widths
from edgekd.models import SegOutput
from edgekd_runtime.files import write_json
from edgekd_runtime.measurement import describe_device

IGNORED = (0.0, 0.3, 0.9)
LIMIT = 1e-5
SMALL: dict[str, dict[str, Any]] = {
    "cirkd": {
        "pixel_memory": 9,
        "region_memory": 4,
        "pixel_contrasts": 20,
        "region_contrasts": 10,
        "pixels": 2,
        "pixel": 0.7,
        "region": 0.9,
    },
    "adversarial": {"width": 8, "generator": 0.6},
    "afdcd": {"groups": 4, "patch": 2, "temperature": 2.0, "contrast": 5.0},
}
"""Options with which a few small steps feel everything that a transfer remembers."""


@dataclass(frozen=True)
class Size:
    """Of a comparison: images, classes, channels, feature map, steps."""

    images: int = 4
    classes: int = 7
    student: int = 12
    teacher: int = 16
    height: int = 12
    width: int = 17
    steps: int = 4


TINY = Size(2, 5, 6, 8, 4, 5, 3)


class Step(NamedTuple):
    """What a loss sees in a step, float64; the student's maps are leaves."""

    fs: Tensor
    aux_s: Tensor
    zt: Tensor
    ft: Tensor
    aux_t: Tensor
    labels: Tensor
    progress: float
    classifier: nn.Conv2d

    @property
    def zs(self) -> Tensor:
        """The student's logits."""
        return self.classifier(self.fs)

    @property
    def y(self) -> Tensor:
        """The label at every feature, C or more where there is none."""
        return self.labels[:, ::2, ::2]

    def pair(self) -> Pair:
        """As a transfer sees it."""
        affine = Affine(self.classifier.weight, self.classifier.bias)
        return Pair(Maps(self.zs, self.fs, self.aux_s), Maps(self.zt, self.ft, self.aux_t), self.labels, affine, self.progress)


Loss = Callable[[Step], Tensor]


class Case(NamedTuple):
    """A loss and its peer.

    Attributes:
        what: The independent evaluation, in a few words.
        build: Gives ours, the peer, and the parameters of each in the same order.
    """

    what: str
    build: Callable[[Size], tuple[Loss, Loss, list[Tensor], list[Tensor]]]


def steps(size: Size, ignored: float) -> Iterator[Step]:
    """Data of a run: labels in 2×2 blocks, so many of which are ignored."""
    g = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    classifier = nn.Conv2d(size.student, size.classes, 1).double()
    for parameter in classifier.parameters():
        parameter.data.copy_(rand(*parameter.shape))
    shape = size.images, size.height, size.width
    for index in range(size.steps):
        labels = torch.randint(0, size.classes, shape, generator=g).masked_fill(torch.rand(shape, generator=g) < ignored, 255)
        fs, aux_s = rand(shape[0], size.student, *shape[1:]) + 0.3, rand(shape[0], size.classes, *shape[1:])
        yield Step(
            fs.requires_grad_(),
            aux_s.requires_grad_(),
            2 * rand(shape[0], size.classes, *shape[1:]),
            rand(shape[0], size.teacher, *shape[1:]),
            rand(shape[0], size.classes, *shape[1:]),
            labels.repeat_interleave(2, 1).repeat_interleave(2, 2),
            index / size.steps,
            classifier,
        )


def transfer(what: str, peer: Callable[[nn.Module], Loss], method: str, **options: Any) -> Case:
    """A registered transfer; its peer reads the parameters and the first state of a copy of the module."""

    def build(size: Size) -> tuple[Loss, Loss, list[Tensor], list[Tensor]]:
        torch.manual_seed(0)
        recipe = TransferRecipe(method=method, **SMALL.get(method, {}) | options)
        _, module = build_transfer(recipe, Widths(size.classes, size.student, size.teacher))
        module = module.double().train()
        for parameter in module.parameters():  # also the gates that start at 0
            parameter.data += 0.1 * torch.randn_like(parameter)
        other = copy.deepcopy(module)
        return lambda step: module(step.pair()), peer(other), list(module.parameters()), list(other.parameters())

    return Case(what, build)


def task(what: str, **options: Any) -> Case:
    """The task loss of both heads."""

    def build(size: Size) -> tuple[Loss, Loss, list[Tensor], list[Tensor]]:
        weights = [0.5 + index / size.classes for index in range(size.classes)] if options.get("class_weighting") else None
        recipe = TaskRecipe(**{"min_kept": 20, "class_weights": weights, **options})
        module = TASKS[recipe.weighting](recipe, size.classes)

        def ours(step: Step) -> Tensor:
            student, teacher = SegOutput(step.zs, step.fs, step.aux_s), SegOutput(step.zt, step.ft, step.aux_t)
            return torch.stack(list(module(student, teacher, step.labels, step.progress).values())).sum()

        return ours, peer_state.task(recipe), [], []

    return Case(what, build)


def label_noise(size: Size) -> tuple[Loss, Loss, list[Tensor], list[Tensor]]:
    """LAD's fourth channel, weighed by the student's own map, so that it has a gradient."""
    noiser = LabelNoiser(size.classes, gain=100.0)

    def ours(step: Step) -> Tensor:
        return (noiser(step.labels, 7)[:, 0, ::2, ::2] * step.fs[:, 0]).mean()

    def peer(step: Step) -> Tensor:
        draws = [torch.Generator().manual_seed(7 + index) for index in range(size.images)]
        weights = torch.stack([torch.randn(size.classes + 1, generator=g) for g in draws])
        noise = torch.stack([torch.randn(1, *step.labels.shape[1:], generator=g) for g in draws])
        return (direct.label_noise(step.labels, weights, noise)[:, 0, ::2, ::2] * step.fs[:, 0]).mean()

    return ours, peer, [], []


CASES = {
    "pd": transfer("KL from both probabilities", lambda m: lambda s: direct.pixel_kd(s.zs, s.zt, 2.0), "pd", temperature=2.0),
    "cwd": transfer("KL of one channel after another", lambda m: lambda s: direct.channel_kd(s.zs, s.zt), "cwd"),
    "cwd-features": transfer("the same behind a product at every pixel", peer_state.projected_channels, "cwd", maps="features"),
    "at": transfer("sum of squares over its norm", lambda m: lambda s: direct.attention_transfer(s.fs, s.ft), "at"),
    "fitnet": transfer("a product at every pixel", lambda m: lambda s: direct.hint(s.fs, s.ft, m.projection.weight), "fitnet"),
    "skds": transfer("one image after another", lambda m: lambda s: direct.pairwise_similarity(s.fs, s.ft), "skds"),
    "ifvd": transfer("a mask per class", lambda m: lambda s: direct.ifvd(s.fs, s.ft, s.labels, s.zt.shape[1]), "ifvd"),
    "dist": transfer(
        "the definition, pair of vectors by pair",
        lambda m: lambda s: direct.correlation_kd(s.zs, s.zt, 1.0, 2.0),
        "dist",
        intra=2.0,
    ),
    "bpkd": transfer(
        "dilation minus erosion, class by class",
        lambda m: lambda s: direct.boundary_kd(s.zs, s.zt, s.labels, 3.0, 2.0, 1),
        "bpkd",
        edge=3.0,
        body=2.0,
        radius=1,
    ),
    "afdcd": transfer("products at every pixel, sample by sample", peer_state.Regrown, "afdcd"),
    "dsd": transfer("stage pair by stage pair, class pair by class pair", lambda m: peer_state.double_similarity, "dsd"),
    "cirkd": transfer(
        "image pair by image pair; queues as Python lists, anchors picked out",
        peer_state.CrossImage,
        "cirkd",
    ),
    "fakd-pd": transfer("pixel by pixel; statistics of all features at once", peer_state.augmented_pixels, "fakd-pd", strength=1.3),
    "fakd-pd-full": transfer("the same", peer_state.augmented_pixels, "fakd-pd", covariance="full"),
    "fakd-cwd": transfer("all pairs of positions; statistics of all features", peer_state.augmented_channels, "fakd-cwd", temperature=2.0),
    "fakd-cwd-full": transfer("the same", peer_state.augmented_channels, "fakd-cwd", covariance="full", strength=0.7),
    "fakd-cwd-tight": transfer("the same, a position's own term 1", peer_state.augmented_channels, "fakd-cwd", bound="tight"),
    "adversarial": transfer("every layer written out, the players one by one", peer_state.Players, "adversarial"),
    "plain": task("pixel by pixel", class_weighting="both"),
    "plain-group": task("pixel by pixel, image by image", class_weighting="both", group=1),
    "ohem": task("the threshold by sorting, pixel by pixel", weighting="ohem", threshold=0.05, class_weighting="both"),
    "dice": task("image by image and class by class", dice=0.7),
    "rdd": task("thresholds by sorting, pixel by pixel; TFE at the first step", weighting="difficulty", threshold=0.05),
    "rdd-fixed": task("the same", weighting="difficulty", min_kept=0, threshold=0.3, mode="or", warmup=0.3, kl="paper", reduction="all"),
    "rdd-code": task("the same", weighting="difficulty", threshold=0.05, mode="and", class_weighting="code", group=1, warmup=0.3),
    "rdd-blend": task("the same", weighting="difficulty", threshold=0.05, mode="ohem", class_weighting="both", blend=True),
    "rdd-confidence": task("the same", weighting="difficulty", threshold=0.05, warmup=0.6, difficulty_map="confidence"),
    "lad-noise": Case("relabelled class by class", label_noise),
    "lad-consistency": Case(
        "KL of one channel after another, both ways",
        lambda size: (
            lambda s: 5 * (peer_state.ours_both_ways(s)),
            lambda s: 5 * (direct.channel_kd(s.zs, s.aux_s.detach()) + direct.channel_kd(s.aux_s, s.zs.detach())),
            [],
            [],
        ),
    ),
}


def differences(case: Case, size: Size, ignored: float) -> tuple[float, float]:
    """Largest relative difference of value and of gradient over a run; a gradient's is relative to the largest of its tensor."""
    ours, peer, parameters, others = case.build(size)
    value = gradient = 0.0
    for step in steps(size, ignored):
        leaves = [step.fs, step.aux_s, *step.classifier.parameters()]
        first, second = (
            (loss, torch.autograd.grad(loss, [*leaves, *own], allow_unused=True, materialize_grads=True))
            for loss, own in ((ours(step), parameters), (peer(step), others))
        )
        value = max(value, relative(first[0], second[0]))
        gradient = max(gradient, *(relative(a, b) for a, b in zip(first[1], second[1], strict=True)))
    return value, gradient


def relative(ours: Tensor, peer: Tensor) -> float:
    """Largest difference over the peer's largest value; of values that are all 0 but for rounding, the difference."""
    scale = float(peer.detach().abs().max())
    difference = float((ours.detach() - peer.detach()).abs().max())
    return difference / scale if scale > 1e-9 else difference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="benchmarks/results/peers.json")
    arguments = parser.parse_args()
    rows = []
    for name, case in CASES.items():
        for ignored in IGNORED:
            value, gradient = differences(case, Size(), ignored)
            rows.append({"name": name, "peer": case.what, "ignored": ignored, "value": value, "gradient": gradient})
            print(f"{name:16} {ignored:4.0%} ignored  value {value:.1e}  gradient {gradient:.1e}", flush=True)
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device() | {"torch": torch.__version__},
        "size": Size().__dict__,
        "largest": max(max(row["value"], row["gradient"]) for row in rows),
        "rows": rows,
    }
    write_json(Path(arguments.out), document)
    if not document["largest"] <= LIMIT:
        raise SystemExit(f"The largest relative difference is {document['largest']:.1e}, above {LIMIT:.0e}.")


if __name__ == "__main__":
    main()
