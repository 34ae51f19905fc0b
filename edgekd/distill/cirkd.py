"""CIRKD, cross-image relational distillation (Yang et al. 2022): how pixels relate across the images of a batch, and to a memory."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distill.device import may_look, one_hot, to_device
from edgekd.distill.float32 import float32, widened
from edgekd.distill.processes import gather_over_processes, masked_mean, process_rank, sum_over_processes, world_size
from edgekd.distill.resize import labels_at
from edgekd.distill.transfer import Count, NotNegative, Pair, Positive, Transfer, Widths


@float32
def cross_image_similarity(student_features: Tensor, teacher_features: Tensor, temperature: float = 0.1) -> Tensor:
    """Mean over all B² image pairs of the KL between row-softmaxes of their cosine maps (Yang et al. 2022, eq. 4–6).

    Each map is made once for both orders of its pair, used for value and gradient, and dropped, so that memory grows with (h·w)²
    and not with (B·h·w)²; small maps go several pairs at a time. The images are those of all processes, which share the pairs out among
    them.

    Args:
        student_features: B×A_s×h×w.
        teacher_features: B×A_t×h×w; the channel counts may differ.
        temperature: τ.

    Returns:
        Scalar, 0 at identity.
    """
    if temperature < 0.05:  # exp(−2/τ) would leave float32's range
        student_features, teacher_features = student_features.double(), teacher_features.double()
    s, t = (F.normalize(f, dim=1).flatten(2).mT for f in (student_features, teacher_features))
    return _CrossImage.apply(s.contiguous(), t.detach().contiguous(), temperature)


class _CrossImage(torch.autograd.Function):
    """Loss of normalised pixels s, t (B×M×A), with the gradient to s computed in the same pass."""

    @staticmethod
    def forward(ctx: Any, s: Tensor, t: Tensor, temperature: float) -> Tensor:
        own = len(s)
        s, t = gather_over_processes(s), gather_over_processes(t)
        images, positions = s.shape[:2]
        gradient = torch.zeros_like(s)
        total = s.new_zeros(())
        at_once = max(1, _AT_ONCE[may_look(s)] // positions**2)
        for first, second in islice(_pairs(images, at_once), process_rank(), None, world_size()):
            # cosines are at most 1, so one shifted exponential serves as softmax along rows and, for (j, i), along columns
            of_s, of_t = ((f[first] @ f[second].mT).sub_(1).div_(temperature) for f in (s, t))
            e_s, e_t = of_s.exp(), of_t.exp()
            surprise = of_t.sub_(of_s).mul_(e_t)
            inverse_s, inverse_t = s.new_zeros(()), s.new_zeros(())
            for dim in (2,) if first == second else (2, 1):
                sum_s, sum_t = e_s.sum(dim, keepdim=True), e_t.sum(dim, keepdim=True)
                total += (surprise.sum(dim, keepdim=True) / sum_t + (sum_s / sum_t).log()).sum()
                inverse_s, inverse_t = inverse_s + 1 / sum_s, inverse_t + 1 / sum_t
            slope = e_s.mul_(inverse_s).sub_(e_t.mul_(inverse_t))  # ∂KL/∂(similarity/τ)
            gradient[first] += slope @ s[second]
            gradient[second] += slope.mT @ s[first]
        scale = 1 / (images**2 * positions)
        # DDP averages what the processes give, so each gives its images' part of the whole times their number
        gradient = sum_over_processes(gradient)[process_rank() * own :][:own] * (scale / temperature * world_size())
        ctx.save_for_backward(gradient)
        return sum_over_processes(total) * scale

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None]:
        return ctx.saved_tensors[0] * outputs[0], None, None


_AT_ONCE = {True: 1 << 22, False: 1 << 26}
"""Values of a similarity map that are in work together, by whether they lie on the CPU: on a GPU a launch costs more than memory."""


def _pairs(images: int, at_once: int) -> Iterator[tuple[slice, slice]]:
    """Every pair of images once, in runs of at most so many: image k of the first slice goes with image k of the second."""
    for distance in range(images):
        for start in range(0, images - distance, at_once):
            stop = min(start + at_once, images - distance)
            yield slice(start, stop), slice(start + distance, stop + distance)


class Memory(nn.Module):
    """Queues of the teacher's normalised embeddings, one a class.

    Args:
        num_classes: C.
        size: Entries a class.
        channels: A.
        contrasts: Entries drawn for a step, over all classes together.

    The draws come from the step count alone, so every process draws the same and a resumed run goes on as it was.
    """

    queue: Tensor
    pointer: Tensor
    step: Tensor

    def __init__(self, num_classes: int, size: int, channels: int, contrasts: int) -> None:
        super().__init__()
        self.drawn = min(size, contrasts // num_classes + 1)
        start = torch.randn(num_classes, size, channels, generator=torch.Generator().manual_seed(0))
        self.register_buffer("queue", F.normalize(start, dim=2))
        self.register_buffer("pointer", torch.zeros(num_classes, dtype=torch.long))
        self.register_buffer("step", torch.zeros((), dtype=torch.long))
        self._steps: int | None = 0  # of `step`, on the host; None = to be read
        self.register_load_state_dict_post_hook(_read_again)

    def generator(self) -> torch.Generator:
        """Of this step's draws."""
        if self._steps is None or may_look(self.step):
            self._steps = int(self.step)
        return torch.Generator().manual_seed(self._steps)

    def advance(self) -> None:
        """To the next step's draws."""
        self.step += 1
        self._steps = None if self._steps is None else self._steps + 1

    def sample(self) -> Tensor:
        """Contrasts, (C·drawn)×A."""
        chosen = torch.randperm(self.queue.shape[1], generator=self.generator())[: self.drawn]
        return self.queue[:, to_device(chosen, self.queue.device)].flatten(0, 1)

    @torch.no_grad()
    def push(self, classes: Tensor, entries: Tensor, most: int, rows: Tensor | None = None) -> None:
        """Write entries over the oldest of their classes, in the order given.

        Every class writes as many slots as any could, those that it has no entry for with what is there: no class has to be counted on the
        host.

        Args:
            classes: N; C = the entry goes nowhere.
            entries: N×A, or what `rows` points into.
            most: Entries that a class has at most.
            rows: N, the row of each entry in `entries`; its own where absent.
        """
        count, size = self.queue.shape[:2]
        most, device = min(most, size), entries.device
        order = classes.argsort(stable=True)
        ordered = classes[order]
        sizes = one_hot(classes, count + 1).sum(0)
        rank = torch.arange(len(classes), device=device) - (sizes.cumsum(0) - sizes)[ordered]
        skipped = (sizes - most).clamp_min(0)  # a queue shorter than the entries keeps the latest
        place = rank - skipped[ordered]
        cell = torch.where((place >= 0) & (ordered < count), ordered * most + place, count * most)
        source = torch.zeros(count * most + 1, dtype=torch.long, device=device)
        source.scatter_(0, cell, order if rows is None else rows[order])
        index, own = torch.arange(most, device=device), torch.arange(count, device=device)[:, None]
        slots = (self.pointer[:, None] + skipped[:count, None] + index) % size
        there = (index < sizes[:count, None].clamp_max(most))[..., None]
        new = entries[source[:-1].view(count, most)].to(self.queue.dtype)
        self.queue[own, slots] = torch.where(there, new, self.queue[own, slots])
        self.pointer.copy_((self.pointer + sizes[:count]) % size)


def _read_again(memory: Any, keys: object) -> None:
    """After a checkpoint was loaded."""
    memory._steps = None


@float32
def memory_similarity(
    student: Tensor, teacher: Tensor, contrasts: Tensor, temperature: float, kd_temperature: float, anchors: Tensor | None = None
) -> Tensor:
    """KL between the softmaxes of pixel–memory similarities, mean over the anchors (Yang et al. 2022, eq. 9–12).

    Args:
        student: Normalised pixels N×A, in the teacher's width.
        teacher: Normalised pixels N×A.
        contrasts: Normalised memory entries K×A.
        temperature: τ of the similarities.
        kd_temperature: T of the distillation.
        anchors: Pixels that count, bool N, in all processes together; None = all. Labelled ones are, in the public code.

    Returns:
        Scalar; 0 without anchors.
    """
    log_s, log_t = (F.log_softmax(f @ contrasts.mT / (temperature * kd_temperature), 1) for f in (student, teacher))
    divergence = (log_t.exp() * (log_t - log_s)).sum(1)
    counted = torch.ones_like(divergence, dtype=torch.bool) if anchors is None else anchors
    return kd_temperature**2 * masked_mean(divergence, counted)


class CrossImageSimilarity(Transfer):
    """The mini-batch part and both memories, over the images of all processes.

    Args:
        widths: Channel counts.
        temperature: τ of all similarities.
        minibatch: Weight of `cross_image_similarity`.
        pixel, region: Weights of the two memories' terms; None = the published 0.1, 0.01 on VOC.
        pixel_memory, region_memory: Queue lengths, entries a class.
        pixel_contrasts, region_contrasts: Entries drawn a step.
        pixels: Pixels enqueued a class and image.
    """

    paper = "Yang et al. 2022 (CIRKD)"
    summary = "cross-image relations in the batch and to two memories"
    default_weight = 1.0
    needs = frozenset({"features", "labels"})
    companions = ("pd",)

    def __init__(
        self,
        widths: Widths,
        temperature: Positive = 0.1,
        minibatch: NotNegative = 1.0,
        pixel: NotNegative | None = None,
        region: NotNegative | None = None,
        pixel_memory: Count = 20_000,
        region_memory: Count = 2_000,
        pixel_contrasts: Count = 4096,
        region_contrasts: Count = 1024,
        pixels: Count = 16,
    ) -> None:
        super().__init__()
        published = 0.01 if widths.layout == "voc" else 0.1
        self.weights = minibatch, published if pixel is None else pixel, published if region is None else region
        self.temperature, self.pixels = temperature, pixels
        self.projector = nn.Sequential(
            nn.Conv2d(widths.student, widths.teacher, 1, bias=False),
            nn.BatchNorm2d(widths.teacher),
            nn.ReLU(inplace=True),
            nn.Conv2d(widths.teacher, widths.teacher, 1, bias=False),
        )
        self.pixel_memory = Memory(widths.num_classes, pixel_memory, widths.teacher, pixel_contrasts)
        self.region_memory = Memory(widths.num_classes, region_memory, widths.teacher, region_contrasts)

    def forward(self, pair: Pair) -> Tensor:
        minibatch, pixel, region = self.weights
        teacher_map = F.normalize(widened(pair.teacher.features), dim=1)
        student = F.normalize(widened(self.projector(pair.student.features)), dim=1).permute(0, 2, 3, 1).flatten(0, 2)
        teacher = teacher_map.permute(0, 2, 3, 1).flatten(0, 2)
        labels = labels_at(pair.labels, teacher_map.shape[-2:])
        anchors = labels.flatten() < len(self.pixel_memory.queue)
        loss = minibatch * cross_image_similarity(pair.student.features, pair.teacher.features, self.temperature)
        for weight, memory in ((pixel, self.pixel_memory), (region, self.region_memory)):
            loss = loss + weight * memory_similarity(student, teacher, memory.sample(), self.temperature, 1.0, anchors)
        if self.training:
            self._enqueue(gather_over_processes(teacher_map), gather_over_processes(labels))
        return loss

    @torch.no_grad()
    def _enqueue(self, features: Tensor, labels: Tensor) -> None:
        """Of each image and class its mean goes into the region memory, some of its pixels into the pixel memory.

        The class's own pixels: the public code permutes the image's instead.
        """
        images, count = len(labels), len(self.pixel_memory.queue)
        pixels = features.flatten(2).mT.flatten(0, 1)
        classes = labels.flatten(1).clamp(max=count)
        member = one_hot(classes, count)
        sums, sizes = member.mT.to(pixels) @ pixels.view(images, -1, pixels.shape[1]), member.sum(1)
        means = F.normalize(sums / sizes[..., None].clamp_min(1), dim=2)
        own = torch.arange(count, device=labels.device).expand(images, -1)
        self.region_memory.push(torch.where(sizes > 0, own, count).flatten(), means.flatten(0, 1), images)

        # image by image, class by class, in random order: the first of each class are its draw
        keys = torch.rand(images, classes.shape[1], generator=self.pixel_memory.generator())
        group = classes + (count + 1) * torch.arange(images, device=labels.device)[:, None]
        order = (group.double() + to_device(keys, labels.device)).flatten().argsort()
        group, sizes = group.flatten()[order], torch.cat([sizes, (classes == count).sum(1, keepdim=True)], 1).flatten()
        rank = torch.arange(len(group), device=labels.device) - (sizes.cumsum(0) - sizes)[group]
        drawn = torch.where(rank < self.pixels, group % (count + 1), count)
        self.pixel_memory.push(drawn, pixels, images * self.pixels, order)
        self.pixel_memory.advance()
        self.region_memory.advance()
