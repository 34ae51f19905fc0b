"""CIRKD, cross-image relational distillation (Yang et al. 2022): how pixels relate across the images of a batch, and to a memory."""

from itertools import combinations_with_replacement, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distill.precision import float32, widened
from edgekd.distill.reduce import gather_over_processes, masked_mean, process_rank, sum_over_processes, world_size
from edgekd.distill.resize import labels_at
from edgekd.distill.transfer import Count, NotNegative, Pair, Positive, Transfer, Widths


@float32
def cross_image_similarity(student_features: Tensor, teacher_features: Tensor, temperature: float = 0.1) -> Tensor:
    """Mean over all B² image pairs of the KL between row-softmaxes of their cosine maps (Yang et al. 2022, eq. 4–6).

    Each map is made once for both orders of its pair, used for value and gradient, and dropped, so that memory grows with (h·w)²
    and not with (B·h·w)². The images are those of all processes, which share the pairs out among them.

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
        for i, j in islice(combinations_with_replacement(range(images), 2), process_rank(), None, world_size()):
            # cosines are at most 1, so one shifted exponential serves as softmax along rows and, for (j, i), along columns
            of_s, of_t = ((f[i] @ f[j].mT).sub_(1).div_(temperature) for f in (s, t))
            e_s, e_t = of_s.exp(), of_t.exp()
            surprise = of_t.sub_(of_s).mul_(e_t)
            inverse_s, inverse_t = s.new_zeros(()), s.new_zeros(())
            for dim in (1,) if i == j else (1, 0):
                sum_s, sum_t = e_s.sum(dim, keepdim=True), e_t.sum(dim, keepdim=True)
                total += (surprise.sum(dim, keepdim=True) / sum_t + (sum_s / sum_t).log()).sum()
                inverse_s, inverse_t = inverse_s + 1 / sum_s, inverse_t + 1 / sum_t
            slope = e_s.mul_(inverse_s).sub_(e_t.mul_(inverse_t))  # ∂KL/∂(similarity/τ)
            gradient[i] += slope @ s[j]
            gradient[j] += slope.mT @ s[i]
        scale = 1 / (images**2 * positions)
        # DDP averages what the processes give, so each gives its images' part of the whole times their number
        gradient = sum_over_processes(gradient)[process_rank() * own :][:own] * (scale / temperature * world_size())
        ctx.save_for_backward(gradient)
        return sum_over_processes(total) * scale

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, None, None]:
        return ctx.saved_tensors[0] * outputs[0], None, None


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

    def generator(self) -> torch.Generator:
        """Of this step's draws."""
        return torch.Generator().manual_seed(int(self.step))

    def sample(self) -> Tensor:
        """Contrasts, (C·drawn)×A."""
        chosen = torch.randperm(self.queue.shape[1], generator=self.generator())[: self.drawn]
        return self.queue[:, chosen.to(self.queue.device)].flatten(0, 1)

    @torch.no_grad()
    def push(self, index: int, entries: Tensor) -> None:
        """Write entries n×A over the oldest of class `index`."""
        size = self.queue.shape[1]
        slots = (self.pointer[index] + torch.arange(len(entries), device=entries.device)) % size
        self.queue[index, slots] = entries.to(self.queue.dtype)
        self.pointer[index] = (self.pointer[index] + len(entries)) % size


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
        generator = self.pixel_memory.generator()
        for embedding, classes in zip(features.flatten(2).mT, labels.flatten(1), strict=True):
            for index in classes[classes < len(self.pixel_memory.queue)].unique().tolist():
                own = embedding[classes == index]
                self.region_memory.push(index, F.normalize(own.mean(0, keepdim=True), dim=1))
                # the class's own pixels: the public code permutes the image's instead
                chosen = torch.randperm(len(own), generator=generator)[: self.pixels]
                self.pixel_memory.push(index, own[chosen.to(own.device)])
        self.pixel_memory.step += 1
        self.region_memory.step += 1
