"""The losses evaluated directly, as their formulas read: an element, an image, a class or a pair at a time where the formula says so."""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


def pixel_kd(z: Tensor, t: Tensor, temperature: float = 1.0) -> Tensor:
    """KL at every pixel from the two probabilities."""
    q, p = (x / x.sum(1, keepdim=True) for x in ((z / temperature).exp(), (t / temperature).exp()))
    return temperature**2 * (p * (p / q).log()).sum(1).mean()


def channel_kd(z: Tensor, t: Tensor, temperature: float = 4.0) -> Tensor:
    """KL of every channel of every image, one after another."""
    total = z.new_zeros(())
    for image_z, image_t in zip(z, t, strict=True):
        for map_z, map_t in zip(image_z, image_t, strict=True):
            q, p = (x.flatten().div(temperature).softmax(0) for x in (map_z, map_t))
            total = total + (p * (p / q).log()).sum()
    return temperature**2 * total / (z.shape[0] * z.shape[1])


def attention(f: Tensor) -> Tensor:
    """Sum of squares over channels, divided by its norm."""
    energy = torch.stack([channel.square() for channel in f.unbind(1)]).sum(0).flatten(1)
    return energy / energy.norm(dim=1, keepdim=True)


def attention_transfer(s: Tensor, t: Tensor) -> Tensor:
    """Mean squared difference of the maps."""
    return (attention(s) - attention(t)).square().mean()


def hint(s: Tensor, t: Tensor, projection: Tensor) -> Tensor:
    """The projection as a product at every pixel."""
    return (torch.einsum("ta,bahw->bthw", projection.flatten(1), s) - t).square().mean()


def pairwise_similarity(s: Tensor, t: Tensor) -> Tensor:
    """Image by image, the cosine of every pair of positions."""
    total = s.new_zeros(())
    for image_s, image_t in zip(s, t, strict=True):
        maps = []
        for f in (image_s, image_t):
            pooled = F.max_pool2d(f[None], 2, ceil_mode=True)[0].flatten(1)
            lengths = pooled.norm(dim=0)
            maps.append(pooled.T @ pooled / (lengths[:, None] * lengths[None]))
        total = total + (maps[0] - maps[1]).square().mean()
    return total / len(s)


def double_similarity(s: Sequence[Tensor], t: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Attention differences of each two stages, and the class-by-class inner products."""
    pixel = []
    for first, second in combinations(range(3), 2):
        changes = [attention(stages[first]) - attention(stages[second]) for stages in (s, t)]
        changes = [change / change.norm(dim=1, keepdim=True) for change in changes]
        pixel.append((changes[0] - changes[1]).square().mean())
    grams = []
    for logits in (s[-1], t[-1]):
        p = (F.avg_pool2d(logits, 2, ceil_mode=True).flatten(2) / 4).softmax(2)
        rows = [torch.stack([(p[:, a] * p[:, b]).sum(1) for b in range(p.shape[1])], 1) for a in range(p.shape[1])]
        grams.append(torch.stack(rows, 1))
    return torch.stack(pixel).mean(), (grams[0] - grams[1]).square().mean()


def pearson(x: Tensor, y: Tensor) -> Tensor:
    """Correlation of two vectors, from their covariance and standard deviations."""
    x, y = x - x.mean(), y - y.mean()
    return (x * y).mean() / (x.square().mean() * y.square().mean()).sqrt()


def correlation_kd(z: Tensor, t: Tensor, inter: float = 1.0, intra: float = 1.0) -> Tensor:
    """DIST: pixel after pixel over the classes, then class after class over all pixels."""
    q, p = (x.softmax(1).permute(0, 2, 3, 1).flatten(0, 2) for x in (z, t))
    pixels = torch.stack([1 - pearson(*pair) for pair in zip(q, p, strict=True)]).mean()
    classes = torch.stack([1 - pearson(*pair) for pair in zip(q.T, p.T, strict=True)]).mean()
    return inter * pixels + intra * classes


def boundary_kd(z: Tensor, t: Tensor, labels: Tensor, edge: float, body: float, radius: int) -> Tensor:
    """BPKD: dilation minus erosion of every class's own mask, then its edge class by class and its body as CWD."""
    edges, bodies = [], []
    for image_z, image_t, image_labels in zip(z, t, labels, strict=True):
        masks = []
        for k in range(len(image_z)):
            own = (image_labels == k).to(z)[None]
            dilation, minus_erosion = (F.max_pool2d(mask, 2 * radius + 1, 1, radius) for mask in (own, -own))
            border = dilation + minus_erosion
            masks.append(F.adaptive_avg_pool2d(border * (image_labels < len(image_z)), z.shape[-2:])[0])
        mask = torch.stack(masks)
        q, p = ((x * mask).softmax(0) for x in (image_z, image_t))
        divergence = (p * (p / q).log()).sum(0)
        edges += [(divergence * own).sum() / own.sum() for own in mask if own.any()]
        bodies.append(channel_kd((image_z * (1 - mask))[None], (image_t * (1 - mask))[None], 1.0))
    at_edges = torch.stack(edges).mean() if edges else z.new_zeros(())
    return edge * at_edges + body * torch.stack(bodies).mean()


def dense_contrast(s: Tensor, t: Tensor, groups: int, side: int, temperature: float) -> Tensor:
    """Af-DCD: patch after patch, each sample of the student against its positive and its negatives."""
    losses = []
    for image_s, image_t in zip(s, t, strict=True):
        for top in range(0, s.shape[-2] - side + 1, side):
            for left in range(0, s.shape[-1] - side + 1, side):
                places = [(top + y, left + x) for y in range(side) for x in range(side)]
                for y, x in places:
                    mine = image_s[:, y, x].chunk(groups)
                    for k, sample in enumerate(mine):
                        positive = -(sample - image_t[:, y, x].chunk(groups)[k]).abs().sum() / temperature
                        others = [image_t[:, v, u].chunk(groups)[j] for v, u in places for j in range(groups) if j != k]
                        negative = -(sample - torch.stack(others)).abs().sum(1) / temperature
                        losses.append(torch.cat([positive[None], negative]).logsumexp(0) - positive)
    return groups * torch.stack(losses).mean()


def resized(logits: Tensor, labels: Tensor) -> Tensor:
    """Probabilities at label size."""
    return F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=True).softmax(1)


def teacher_agreement(main: Tensor, aux: Tensor, size: tuple[int, int]) -> Tensor:
    """exp(−KL(aux‖main)) from the two probabilities."""
    p, q = aux.softmax(1), main.softmax(1)
    return F.interpolate((-(p * (p / q).log()).sum(1, keepdim=True)).exp(), size, mode="bilinear", align_corners=True)[:, 0]


def relative_difficulty(s: Tensor, t: Tensor, labels: Tensor, kept: int) -> Tensor:
    """Cross entropy of the pixels that are hard for one of the two, thresholds by sorting."""
    chosen = hard_pixels(s, labels, kept) ^ hard_pixels(t, labels, kept)
    p = resized(s, labels).gather(1, labels.clamp(max=s.shape[1] - 1)[:, None])[:, 0]
    return -(p.log() * chosen).sum() / chosen.sum()


def fakd_cwd(z: Tensor, t: Tensor, labels: Tensor, weight: Tensor, variance: Tensor, strength: float) -> Tensor:
    """The quadratic form at every pixel and class, from that pixel's covariance; a class at a time, as pixels × A would not fit for all."""
    y = F.interpolate(labels[:, None].float(), z.shape[-2:], mode="nearest").long()[:, 0]
    sigma = torch.cat([variance, variance.new_zeros(1, variance.shape[1])])[y.clamp(max=len(variance))]
    total = z.new_zeros(())
    for c in range(z.shape[1]):
        v = strength * (sigma * weight[c].square()).sum(3).flatten(1)
        logit, p = z[:, c].flatten(1), t[:, c].flatten(1).softmax(1)
        total = total + ((logit + v / 2).logsumexp(1) - (p * (logit - v / 2)).sum(1)).sum()
    return total / (z.shape[0] * z.shape[1])


def memory_similarity(s: Tensor, t: Tensor, contrasts: Tensor, temperature: float) -> Tensor:
    """Of the anchors alone: probabilities of each over the memory's entries, then their KL."""
    q, p = ((f @ contrasts.T / temperature).exp() for f in (s, t))
    q, p = q / q.sum(1, keepdim=True), p / p.sum(1, keepdim=True)
    return (p * (p / q).log()).sum(1).mean()


def fakd_pd(z: Tensor, t: Tensor, labels: Tensor, weight: Tensor, variance: Tensor, strength: float) -> Tensor:
    """Per pixel the C×C differences and their Σ-norms; in parts, computed again for the backward pass, where a buffer would exceed 4 GB."""
    c = z.shape[1]
    y = F.interpolate(labels[:, None].float(), z.shape[-2:], mode="nearest").long().flatten()
    z, p = z.permute(0, 2, 3, 1).reshape(-1, c), t.softmax(1).permute(0, 2, 3, 1).reshape(-1, c)
    squared = (weight[None] - weight[:, None]).square()
    v = torch.cat([variance, variance.new_zeros(1, variance.shape[1])])[y.clamp(max=c)]

    def part(z: Tensor, p: Tensor, v: Tensor) -> Tensor:
        q = torch.einsum("cka,ia->ick", squared, v)
        return (p * (z[:, None] - z[:, :, None] + strength / 2 * q).logsumexp(2)).sum()

    pieces = zip(*(x.split(max(1, 1_000_000_000 // c**2)) for x in (z, p, v)), strict=True)
    total = torch.stack([checkpoint(part, *piece, use_reentrant=False) for piece in pieces]).sum()
    return total / len(z)


def label_noise(labels: Tensor, weights: Tensor, noise: Tensor) -> Tensor:
    """Relabelling class by class."""
    result = noise.new_zeros(labels.shape)
    for k in range(weights.shape[1]):
        result = torch.where(labels == (k if k < weights.shape[1] - 1 else 255), weights[:, k, None, None], result)
    return 100 * (result[:, None] + 0.03 * noise)


def cross_image(s: Tensor, t: Tensor) -> Tensor:
    """Pair by pair, as the public code does."""
    s, t = (F.normalize(f, dim=1).flatten(2) for f in (s, t))
    total = s.new_zeros(())
    for i in range(len(s)):
        for j in range(len(s)):
            log_s, p_t = F.log_softmax(s[i].T @ s[j] / 0.1, 1), F.softmax(t[i].T @ t[j] / 0.1, 1)
            total = total + F.kl_div(log_s, p_t, reduction="batchmean")
    return total / len(s) ** 2


@torch.no_grad()
def hard_pixels(logits: Tensor, labels: Tensor, kept: int) -> Tensor:
    """A full sort for the threshold."""
    p = resized(logits, labels).gather(1, labels.clamp(max=logits.shape[1] - 1)[:, None])[:, 0]
    ordered = p[labels != 255].sort().values
    return (labels != 255) & (p <= ordered[min(kept, len(ordered)) - 1].clamp_min(0.7))


def ifvd(s: Tensor, t: Tensor, labels: Tensor, c: int) -> Tensor:
    """A mask a class."""
    y = F.interpolate(labels[:, None].float(), s.shape[-2:], mode="nearest")

    def cosine(f: Tensor) -> Tensor:
        centre = f.clone()
        for k in range(c):
            mask = (y == k).float()
            centre = (1 - mask) * centre + mask * ((mask * f).sum((2, 3)) / (mask.sum((2, 3)) + 1e-6))[..., None, None]
        return F.cosine_similarity(f, centre, dim=1)

    return F.mse_loss(cosine(s), cosine(t))
