"""Time and peak memory of every loss beside its direct evaluation, and of a distillation step beside its floor.

python benchmarks/losses.py [--out benchmarks/results/losses.json] [--quick] [--only NAME]

Every row runs in a process of its own, so that its peak memory is its own; ratios are of medians within that process, both
sides in alternation. On a GPU the times are CUDA events and the memory is the allocator's peak.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill import functional as L
from edgekd_runtime.files import write_json
from edgekd_runtime.measurement import describe_device

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCH, A_STUDENT, A_TEACHER = 8, 256, 512
Call = Callable[[], Any]


def rand(*shape: int) -> Tensor:
    return torch.randn(*shape, device=DEVICE)


# ---- direct evaluations, written from the formulas ----


def direct_fakd_pd(z: Tensor, t: Tensor, labels: Tensor, weight: Tensor, variance: Tensor, strength: float) -> Tensor:
    """Per pixel the C×C differences and their Σ-norms; in parts only where a buffer would exceed 4 GB."""
    c = z.shape[1]
    y = F.interpolate(labels[:, None].float(), z.shape[-2:], mode="nearest").long().flatten()
    z, p = z.permute(0, 2, 3, 1).reshape(-1, c), t.softmax(1).permute(0, 2, 3, 1).reshape(-1, c)
    squared = (weight[None] - weight[:, None]).square()
    total = z.new_zeros(())
    for part in torch.arange(len(z), device=z.device).split(max(1, 1_000_000_000 // c**2)):
        v = torch.cat([variance, variance.new_zeros(1, variance.shape[1])])[y[part].clamp(max=c)]
        q = torch.einsum("cka,ia->ick", squared, v)
        total += (p[part] * (z[part][:, None] - z[part][:, :, None] + strength / 2 * q).logsumexp(2)).sum()
    return total / len(z)


def direct_label_noise(labels: Tensor, weights: Tensor, noise: Tensor) -> Tensor:
    """Relabelling class by class."""
    result = torch.zeros(labels.shape, device=labels.device)
    for k in range(weights.shape[1]):
        result = torch.where(labels == (k if k < weights.shape[1] - 1 else 255), weights[:, k, None, None], result)
    return 100 * (result[:, None] + 0.03 * noise)


def direct_cross_image(s: Tensor, t: Tensor) -> Tensor:
    """Pair by pair, as the public code does."""
    s, t = (F.normalize(f, dim=1).flatten(2) for f in (s, t))
    total = s.new_zeros(())
    for i in range(len(s)):
        for j in range(len(s)):
            log_s, p_t = F.log_softmax(s[i].T @ s[j] / 0.1, 1), F.softmax(t[i].T @ t[j] / 0.1, 1)
            total = total + F.kl_div(log_s, p_t, reduction="batchmean")
    return total / len(s) ** 2


def direct_hard_pixels(logits: Tensor, labels: Tensor, kept: int) -> Tensor:
    """A full sort for the threshold."""
    p = F.interpolate(logits, labels.shape[-2:], mode="bilinear", align_corners=True).softmax(1)
    p = p.gather(1, labels.clamp(max=logits.shape[1] - 1)[:, None])[:, 0]
    ordered = p[labels != 255].sort().values
    return (labels != 255) & (p <= ordered[min(kept, len(ordered)) - 1].clamp_min(0.7))


def direct_ifvd(s: Tensor, t: Tensor, labels: Tensor, c: int) -> Tensor:
    """A mask a class."""
    y = F.interpolate(labels[:, None].float(), s.shape[-2:], mode="nearest")

    def cosine(f: Tensor) -> Tensor:
        centre = f.clone()
        for k in range(c):
            mask = (y == k).float()
            centre = (1 - mask) * centre + mask * ((mask * f).sum((2, 3)) / (mask.sum((2, 3)) + 1e-6))[..., None, None]
        return F.cosine_similarity(f, centre, dim=1)

    return F.mse_loss(cosine(s), cosine(t))


# ---- what is compared ----


def cases(classes: int, height: int, width: int) -> dict[str, tuple[Call, Call | None, bool]]:
    """Name → (ours, direct, with backward)."""
    zs, zt = rand(BATCH, classes, height, width).requires_grad_(), rand(BATCH, classes, height, width)
    aux_s, aux_t = rand(BATCH, classes, height, width), rand(BATCH, classes, height, width)
    fs, ft = rand(BATCH, A_STUDENT, height, width).requires_grad_(), rand(BATCH, A_TEACHER, height, width)
    labels = torch.randint(0, classes, (BATCH, 8 * height, 8 * width), device=DEVICE)
    weight, variance = rand(classes, A_STUDENT) / 16, rand(classes, A_STUDENT).square()
    projection = rand(A_TEACHER, A_STUDENT, 1, 1) / 16
    kept = 25_000 * BATCH
    return {
        "pd": (lambda: L.pixel_kd(zs, zt), None, True),
        "cwd": (lambda: L.channel_kd(zs, zt), None, True),
        "at": (lambda: L.attention_transfer(fs, ft), None, True),
        "fitnet": (lambda: L.hint(fs, ft, projection), None, True),
        "skds": (lambda: L.pairwise_similarity(fs, ft), None, True),
        "ifvd": (lambda: L.intra_class_variation(fs, ft, labels, classes), lambda: direct_ifvd(fs, ft, labels, classes), True),
        "dsd": (lambda: sum(L.double_similarity([aux_s, fs, zs], [aux_t, ft, zt])), None, True),
        "rdd-threshold": (lambda: L.hard_pixels(zs, labels, 0.7, kept), lambda: direct_hard_pixels(zs, labels, kept), False),
        "rdd-tfe": (lambda: L.teacher_agreement(zt, aux_t, labels.shape[-2:]), None, False),
        "rdd-tse": (lambda: L.relative_difficulty_loss(zs, zt, labels, "xor", 0.7, kept), None, True),
        "fakd-cwd": (lambda: L.augmented_channel_kd(zs, zt, labels, weight, variance, 1.0), None, True),
        "fakd-pd": (lambda: L.augmented_pixel_kd(zs, zt, labels, weight, variance, 1.0), None, True),
    }


def targets() -> dict[str, tuple[Call, Call | None, bool]]:
    """The shapes that the project's targets name."""
    c, a, h, w = 150, 512, 64, 64
    z, t = rand(8, c, h, w), rand(8, c, h, w)
    labels = torch.randint(0, c, (8, 8 * h, 8 * w), device=DEVICE)
    weight, variance = rand(c, a) / 16, rand(c, a).square()
    noise_labels = torch.randint(0, c, (8, 512, 512), device=DEVICE)
    w_label, noise = rand(8, c + 1), rand(8, 1, 512, 512)
    fs, ft = rand(8, 128, 45, 45).requires_grad_(), rand(8, 256, 45, 45)
    return {
        "target-fakd-pd": (
            lambda: L.augmented_pixel_kd(z, t, labels, weight, variance, 1.0),
            lambda: direct_fakd_pd(z, t, labels, weight, variance, 1.0),
            False,
        ),
        "target-label-noise": (
            lambda: L.noise_label(noise_labels, w_label, noise),
            lambda: direct_label_noise(noise_labels, w_label, noise),
            False,
        ),
        "target-cirkd": (lambda: L.cross_image_similarity(fs, ft), lambda: direct_cross_image(fs, ft), True),
    }


# ---- measuring ----


def timed(call: Call, backward: bool) -> float:
    """Seconds of one call."""
    if DEVICE == "cuda":
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
    begin = time.perf_counter()
    result = call()
    if backward:
        result.backward()
    if DEVICE == "cuda":
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1e3
    return time.perf_counter() - begin


def peak_mb() -> float:
    """Peak memory so far, MB."""
    if DEVICE == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def row(name: str, setting: tuple[int, int, int] | None, side: str) -> dict[str, Any]:
    """One comparison; the memory is of `side` alone."""
    torch.manual_seed(0)
    table = targets() if setting is None else cases(*setting)
    ours, direct, backward = table[name]
    chosen = ours if side == "ours" else direct
    if chosen is None:
        return {}
    small = torch.zeros(4, requires_grad=True)
    (small * 2).sum().backward()  # the autograd engine's own start is not the loss's memory
    before = peak_mb()
    seconds = timed(chosen, backward)
    memory = peak_mb() - before
    times: dict[str, list[float]] = {side: [seconds]}
    if side == "ours":
        other = {"ours": ours} | ({"direct": direct} if direct else {})
        times = {key: [] for key in other}
        for repeat in range(4):
            for key, call in other.items():
                duration = timed(call, backward)
                if repeat:
                    times[key].append(duration)
    return {"ms": {key: 1e3 * statistics.median(values) for key, values in times.items()}, "mb": memory}


def in_own_process(name: str, setting: tuple[int, int, int] | None) -> dict[str, Any]:
    """Both sides of a row."""
    result: dict[str, Any] = {"name": name, "setting": setting}
    print(f"{name} {setting or ''} …", flush=True)
    for side in ("ours", "direct"):
        command = [sys.executable, __file__, "--row", json.dumps([name, setting, side])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        measured = json.loads(done.stdout.splitlines()[-1])
        if side == "ours":
            result |= {f"{key}_ms": value for key, value in measured["ms"].items()}
        if measured:
            result[f"{side}_mb"] = measured["mb"]
    if "direct_ms" in result:
        result["times_faster"] = result["direct_ms"] / result["ours_ms"]
        result["times_smaller"] = result["direct_mb"] / max(result["ours_mb"], 1e-3)
    print("  ".join(f"{key} {value:.2f}" if isinstance(value, float) else str(value) for key, value in result.items()), flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="benchmarks/results/losses.json")
    parser.add_argument("--quick", action="store_true", help="C 19 and the targets only")
    parser.add_argument("--only", help="rows whose name holds this")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        name, setting, side = json.loads(arguments.row)
        print(json.dumps(row(name, tuple(setting) if setting else None, side)))
        return
    settings: list[tuple[int, int, int]] = [(19, 64, 128)] if arguments.quick else [(19, 64, 128), (150, 64, 128)]
    names = list(cases(3, 2, 2))
    rows = [(name, None) for name in targets()] + [(name, setting) for setting in settings for name in names]
    results = [in_own_process(name, setting) for name, setting in rows if not arguments.only or arguments.only in name]
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device() | {"torch": torch.__version__, "threads": torch.get_num_threads(), "kind": DEVICE},
        "batch": BATCH,
        "rows": results,
    }
    write_json(Path(arguments.out), document)


if __name__ == "__main__":
    main()
