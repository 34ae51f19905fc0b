"""Independent evaluations of the losses that have parameters, state or a schedule: plain formulas over plain lists, in float64."""

import math
from collections.abc import Callable
from typing import Any

import direct
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.config import TaskRecipe
from edgekd.distill.functional import channel_kd


def ours_both_ways(s: Any) -> Tensor:
    """What LAD's teacher minimises between its two paths, as it calls it."""
    return channel_kd(s.zs, s.aux_s.detach()) + channel_kd(s.aux_s, s.zs.detach())


def projected_channels(m: nn.Module) -> Callable[[Any], Tensor]:
    """CWD behind a 1×1 projection; the public code divides by the student's channels, not by the teacher's."""
    weight = m.projection.weight

    def loss(s: Any) -> Tensor:
        projected = torch.einsum("ta,bahw->bthw", weight[:, :, 0, 0], s.fs)
        return direct.channel_kd(projected, s.ft) * weight.shape[0] / weight.shape[1]

    return loss


def double_similarity(s: Any) -> Tensor:
    """1000·PSD + 10·CSD."""
    pixel, category = direct.double_similarity([s.aux_s, s.fs, s.zs], [s.aux_t, s.ft, s.zt])
    return 1000 * pixel + 10 * category


# ---- Af-DCD ----


def convolved(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """A convolution with padding as a product of every pixel's window."""
    windows = F.unfold(x, layer.kernel_size, padding=layer.padding)
    return (layer.weight.flatten(1) @ windows + layer.bias[:, None]).unflatten(2, x.shape[-2:])


class Regrown:
    """What the generator makes of the positions that it sees."""

    def __init__(self, m: nn.Module) -> None:
        self.m, self.seed = m, m.drawn

    def __call__(self, s: Any) -> Tensor:
        m, drawn = self.m, []
        for _ in s.fs:
            drawn.append(torch.rand(1, *s.fs.shape[-2:], generator=torch.Generator().manual_seed(self.seed)))
            self.seed += 1
        seen = convolved(s.fs, m.align) * (torch.stack(drawn) >= 0.75)
        grown = convolved(convolved(seen, m.generator[0]).clamp_min(0), m.generator[2])
        pool = min(4, s.fs.shape[-2] // m.patch, s.fs.shape[-1] // m.patch)
        pooled = (F.max_pool2d(x, pool) for x in (grown, s.ft))
        return 33 * (grown - s.ft).square().mean() + m.contrast * direct.dense_contrast(*pooled, m.groups, m.patch, m.temperature)


# ---- FAKD ----


class Seen:
    """Every feature seen so far, and each class's covariance over all of them."""

    def __init__(self, full: bool) -> None:
        self.full, self.features, self.labels = full, [], []

    def covariances(self, s: Any) -> Tensor:
        """C×A×A after this step; 0 for classes never seen."""
        self.features.append(s.fs.detach().permute(0, 2, 3, 1).flatten(0, 2))
        self.labels.append(s.y.flatten())
        features, labels = torch.cat(self.features), torch.cat(self.labels)
        found = []
        for k in range(s.zt.shape[1]):
            own = features[labels == k]
            centred = own - own.mean(0) if len(own) else own
            covariance = centred.T @ centred / max(len(own), 1)
            found.append(covariance if self.full else covariance.diagonal().diag())
        return torch.stack([*found, torch.zeros_like(found[0])])  # the last one is that of ignored pixels


def rising(strength: float, progress: float) -> float:
    """λ: half a cosine from 0 to λ0."""
    return strength * 0.5 * (1 - math.cos(math.pi * progress))


def augmented_pixels(m: nn.Module) -> Callable[[Any], Tensor]:
    """mean_i Σ_c p_ic · log Σ_k exp(z_ik − z_ic + λ/2·(w_k − w_c)ᵀ Σ_y (w_k − w_c))."""
    seen = Seen(m.statistics.full)

    def loss(s: Any) -> Tensor:
        sigma, strength = seen.covariances(s), rising(m.strength, s.progress)
        w, c = s.classifier.weight[:, :, 0, 0], s.zt.shape[1]
        z, p = (x.permute(0, 2, 3, 1).flatten(0, 2) for x in (s.zs, s.zt.softmax(1)))
        apart = w[None] - w[:, None]
        total = z.new_zeros(())
        for i, y in enumerate(s.y.flatten().clamp(max=c).tolist()):
            q = torch.einsum("cka,ab,ckb->ck", apart, sigma[y], apart)
            total = total + (p[i] * (z[i][None] - z[i][:, None] + strength / 2 * q).exp().sum(1).log()).sum()
        return total / len(z)

    return loss


def augmented_channels(m: nn.Module) -> Callable[[Any], Tensor]:
    """τ²/C · Σ_c Σ_i p_ic · log Σ_k E exp((ŝ_kc − ŝ_ic)/τ), the expectation of each pair of positions written out."""
    seen = Seen(m.statistics.full)

    def loss(s: Any) -> Tensor:
        sigma, strength, tau = seen.covariances(s), rising(m.strength, s.progress), m.temperature
        w, zs = s.classifier.weight[:, :, 0, 0], s.zs
        total = zs.new_zeros(())
        for image in range(len(zs)):
            for c in range(zs.shape[1]):
                v = strength * torch.stack([w[c] @ sigma[y] @ w[c] for y in s.y[image].flatten().clamp(max=zs.shape[1]).tolist()])
                z, p = zs[image, c].flatten() / tau, (s.zt[image, c].flatten() / tau).softmax(0)
                pairs = (z[None] - z[:, None] + (v[None] + v[:, None]) / (2 * tau**2)).exp()
                if m.bound == "tight":
                    pairs = pairs * (1 - torch.eye(len(z))) + torch.eye(len(z))
                total = total + (p * pairs.sum(1).log()).sum()
        return tau**2 * total / (zs.shape[0] * zs.shape[1])

    return loss


# ---- CIRKD ----


def batch_norm(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """In training: by the batch's own mean and biased variance."""
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
    return (x - mean) / (variance + norm.eps).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]


class CrossImage:
    """The mini-batch term and two memories, each a list of entries per class that starts at the module's."""

    def __init__(self, m: Any) -> None:
        self.m, self.steps = m, 0
        self.pixels, self.regions = ([[*own] for own in memory.queue.clone()] for memory in (m.pixel_memory, m.region_memory))
        self.next_pixel, self.next_region = [0] * len(self.pixels), [0] * len(self.regions)

    def __call__(self, s: Any) -> Tensor:
        m = self.m
        first, norm, _, last = m.projector
        hidden = batch_norm(torch.einsum("ta,bahw->bthw", first.weight[:, :, 0, 0], s.fs), norm).clamp_min(0)
        student = torch.einsum("ta,bahw->bthw", last.weight[:, :, 0, 0], hidden)
        flat = [f / f.norm(dim=1, keepdim=True) for f in (student, s.ft)]
        anchors = [f.permute(0, 2, 3, 1).flatten(0, 2)[s.y.flatten() < len(self.pixels)] for f in flat]
        minibatch, pixel, region = m.weights
        loss = minibatch * direct.cross_image(s.fs, s.ft)
        for weight, entries, memory in ((pixel, self.pixels, m.pixel_memory), (region, self.regions, m.region_memory)):
            chosen = torch.randperm(len(entries[0]), generator=torch.Generator().manual_seed(self.steps))[: memory.drawn].tolist()
            contrasts = torch.stack([own[index] for own in entries for index in chosen])
            if len(anchors[0]):
                loss = loss + weight * direct.memory_similarity(*anchors, contrasts, m.temperature)
        self.remember(flat[1], s.y)
        return loss

    def remember(self, teacher: Tensor, labels: Tensor) -> None:
        """So many pixels of each class and image, and their mean, over the oldest entries; those of the smallest random numbers."""
        draws = torch.rand(len(labels), labels[0].numel(), generator=torch.Generator().manual_seed(self.steps)).view(labels.shape)
        for image, classes, draw in zip(teacher, labels, draws, strict=True):
            for k in sorted({int(y) for y in classes.flatten() if y < len(self.pixels)}):
                places = sorted((classes == k).nonzero().tolist(), key=lambda place: float(draw[tuple(place)]))
                own = [image[:, i, j] for i, j in places]
                mean = torch.stack(own).mean(0)
                self.regions[k][self.next_region[k]] = mean / mean.norm()
                self.next_region[k] = (self.next_region[k] + 1) % len(self.regions[k])
                for entry in own[: self.m.pixels]:
                    self.pixels[k][self.next_pixel[k]] = entry
                    self.next_pixel[k] = (self.next_pixel[k] + 1) % len(self.pixels[k])
        self.steps += 1


# ---- the adversarial term ----


class Players:
    """Hinge losses of both players. The discriminator's layers are written out; each pass moves its singular vectors by one iteration."""

    def __init__(self, m: Any) -> None:
        self.m = m
        self.vectors = {
            layer: [layer.parametrizations.weight[0]._u.clone(), layer.parametrizations.weight[0]._v.clone()] for layer in self.layers()
        }

    def layers(self) -> list[nn.Module]:
        """With spectral norm."""
        return [layer for layer in self.m.discriminator if isinstance(layer, nn.Conv2d) and hasattr(layer, "parametrizations")]

    def __call__(self, s: Any) -> Tensor:
        factor = max(1.0, 64 / min(s.zt.shape[-2:]))
        size = [round(length * factor) for length in s.zt.shape[-2:]]
        fake, real = (F.interpolate(x, size, mode="bilinear", align_corners=True) for x in (s.zs, s.zt))
        for parameter in self.m.parameters():
            parameter.requires_grad_(False)
        fooled = self.judge(fake)
        for parameter in self.m.parameters():
            parameter.requires_grad_(True)
        of_fake, of_real = self.judge(fake.detach()), self.judge(real)
        hinge = (1 - of_real).clamp_min(0).mean() + (1 + of_fake).clamp_min(0).mean()
        return -self.m.generator * fooled.mean() + self.m.judge * hinge

    def judge(self, x: Tensor) -> Tensor:
        """Realness map."""
        for layer in self.m.discriminator:
            if isinstance(layer, nn.BatchNorm2d):
                x = batch_norm(x, layer)
            elif layer in self.vectors:
                x = F.conv2d(x, self.normalised(layer), layer.bias, stride=2, padding=1)
            elif isinstance(layer, nn.LeakyReLU):
                x = x.clamp_min(0) + 0.1 * x.clamp_max(0)
            elif isinstance(layer, nn.Conv2d):
                x = F.conv2d(x, layer.weight, layer.bias)
            else:
                q, k, v = (
                    torch.einsum("ta,bap->btp", f.weight[:, :, 0, 0], x.flatten(2)) + f.bias[:, None]
                    for f in (layer.query, layer.key, layer.value)
                )
                weights = torch.einsum("btp,btq->bpq", q, k).softmax(2)
                x = x + layer.gate * torch.einsum("bpq,btq->btp", weights, v).view_as(x)
        return x

    def normalised(self, layer: Any) -> Tensor:
        """The weight over its largest singular value, as far as one power iteration a pass knows it."""
        weight = layer.parametrizations.weight.original
        matrix, (u, v) = weight.flatten(1), self.vectors[layer]
        with torch.no_grad():
            u = F.normalize(matrix @ v, dim=0)
            v = F.normalize(matrix.T @ u, dim=0)
        self.vectors[layer] = [u, v]
        return weight / (u @ matrix @ v)


# ---- the task loss ----


def task(recipe: TaskRecipe) -> Callable[[Any], Tensor]:
    """Plain cross entropy, or RDD's, one pixel after another: main head + a·auxiliary head, mean over groups of images."""

    def loss(s: Any) -> Tensor:
        size = recipe.group or len(s.labels)
        groups = [
            head(recipe, logits[part], teacher[part], s.zt[part], s.aux_t[part], s.labels[part], s.progress) * weight
            for part in (slice(start, start + size) for start in range(0, len(s.labels), size))
            for weight, logits, teacher in ((1.0, s.zs, s.zt), (recipe.auxiliary, s.aux_s, s.aux_t))
        ]
        total = torch.stack(groups).sum() * size / len(s.labels)
        return total + recipe.dice * dice(s.zs, s.labels) if recipe.dice else total

    return loss


def dice(zs: Tensor, labels: Tensor) -> Tensor:
    """Image by image and class by class: 1 − (2·overlap + 1)/(areas + 1) of the classes that an image shows."""
    terms = []
    for p, y in zip(direct.resized(zs, labels), labels, strict=True):
        for k in sorted({k for k in y.flatten().tolist() if k < zs.shape[1]}):
            mine, its = p[k][y < zs.shape[1]], (y[y < zs.shape[1]] == k).double()
            terms.append(1 - (2 * (mine * its).sum() + 1) / (mine.sum() + its.sum() + 1))
    return torch.stack(terms).mean() if terms else zs.sum() * 0


def head(recipe: TaskRecipe, zs: Tensor, of_teacher: Tensor, zt: Tensor, aux_t: Tensor, labels: Tensor, progress: float) -> Tensor:
    """One head's loss."""
    classes = zs.shape[1]
    p_s, p_t, p_main = (direct.resized(x, labels).permute(0, 2, 3, 1).flatten(0, 2) for x in (zs, of_teacher, zt))
    flat = labels.flatten()
    pixels = [i for i, y in enumerate(flat.tolist()) if y < classes]
    nothing = zs.sum() * 0
    own = {i: p_s[i, flat[i]] for i in pixels}
    weight = {i: recipe.class_weights[int(flat[i])] if recipe.class_weights else 1.0 for i in pixels}
    if recipe.weighting != "difficulty":
        counted = pixels if recipe.weighting == "plain" else hard({i: float(own[i].detach()) for i in pixels}, recipe, len(labels))
        return sum((-weight[i] * own[i].log() for i in counted), nothing) / max(sum(weight[i] for i in counted), 1e-12)
    if recipe.difficulty_map == "confidence":
        agreement = {i: p_main[i, flat[i]] for i in pixels}
    else:
        first, second = (aux_t, zt) if recipe.kl == "code" else (zt, aux_t)
        maps = direct.teacher_agreement(second, first, labels.shape[-2:]).flatten()
        agreement = {i: maps[i] for i in pixels}
    in_tfe = {i: 1.0 if recipe.class_weighting == "code" else weight[i] for i in pixels}
    tfe = sum((-in_tfe[i] * agreement[i] * own[i].log() for i in pixels), nothing) / len(flat)
    if progress < recipe.warmup:
        return tfe
    hard_s, hard_t = (hard({i: float(p[i, flat[i]].detach()) for i in pixels}, recipe, len(labels)) for p in (p_s, p_t))
    chosen = {"xor": hard_s ^ hard_t, "or": hard_s | hard_t, "and": hard_s & hard_t, "ohem": hard_s}[recipe.mode]
    divisor = (
        len(flat) if recipe.reduction == "all" else sum(weight[i] for i in chosen) if recipe.class_weighting == "code" else len(chosen)
    )
    tse = sum((-weight[i] * own[i].log() for i in chosen), nothing) / max(divisor, 1e-12)
    if not recipe.blend:
        return tse
    alpha = (1 - progress) / (1 - recipe.warmup)
    return alpha * tfe + (1 - alpha) * tse


def hard(probability: dict[int, float], recipe: TaskRecipe, images: int) -> set[int]:
    """Pixels at or below the threshold, or below the min_kept-th smallest of the images' where that is higher."""
    ordered, kept = sorted(probability.values()), recipe.min_kept * images
    adaptive = ordered[min(kept, len(ordered)) - 1] if kept and ordered else 0.0
    return {i for i, p in probability.items() if p <= max(recipe.threshold, adaptive)}
