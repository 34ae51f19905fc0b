"""Time and peak memory of every loss beside its direct evaluation, and of a distillation step beside its floor.

python benchmarks/losses.py [--out benchmarks/results/losses.json] [--quick] [--only NAME]

Every row runs in a process of its own, so that its peak memory is its own; ratios are of medians within that process, both
sides (`direct.py` has the formulas) in alternation. On a GPU the times are CUDA events and the memory is the allocator's peak.
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

import direct
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill import functional as L
from edgekd.distill.adversarial import Adversarial
from edgekd.distill.class_map import Affine
from edgekd.distill.transfer import Maps, Pair, Widths
from edgekd_runtime.files import write_json
from edgekd_runtime.measurement import describe_device

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCH, A_STUDENT, A_TEACHER = 8, 256, 512
Call = Callable[[], Any]


def rand(*shape: int) -> Tensor:
    return torch.randn(*shape, device=DEVICE)


# ---- what is compared ----


def cases(classes: int, height: int, width: int) -> dict[str, tuple[Call, Call | None, bool]]:
    """Name → (ours, direct, with backward)."""
    zs, zt = rand(BATCH, classes, height, width).requires_grad_(), rand(BATCH, classes, height, width)
    aux_s, aux_t = rand(BATCH, classes, height, width), rand(BATCH, classes, height, width)
    fs, ft = rand(BATCH, A_STUDENT, height, width).requires_grad_(), rand(BATCH, A_TEACHER, height, width)
    labels = torch.randint(0, classes, (BATCH, 8 * height, 8 * width), device=DEVICE)
    fakd = (zs, zt, labels, rand(classes, A_STUDENT) / 16, rand(classes, A_STUDENT).square(), 1.0)
    projection = rand(A_TEACHER, A_STUDENT, 1, 1) / 16
    pixels_s, pixels_t = (F.normalize(rand(BATCH * height * width // 4, A_STUDENT), dim=1) for _ in "st")
    pixels_s.requires_grad_()
    contrasts = F.normalize(rand(4096, A_STUDENT), dim=1)
    stages = [aux_s, fs, zs], [aux_t, ft, zt]
    kept, size = 25_000 * BATCH, (8 * height, 8 * width)
    judge = Adversarial(Widths(classes, A_STUDENT, A_TEACHER)).to(DEVICE)
    affine = Affine(rand(classes, A_STUDENT, 1, 1), None)
    pair = Pair(Maps(zs, fs, aux_s), Maps(zt, ft, aux_t), labels, affine, 0.5)
    return {
        "pd": (lambda: L.pixel_kd(zs, zt), lambda: direct.pixel_kd(zs, zt), True),
        "cwd": (lambda: L.channel_kd(zs, zt), lambda: direct.channel_kd(zs, zt), True),
        "at": (lambda: L.attention_transfer(fs, ft), lambda: direct.attention_transfer(fs, ft), True),
        "fitnet": (lambda: L.hint(fs, ft, projection), lambda: direct.hint(fs, ft, projection), True),
        "skds": (lambda: L.pairwise_similarity(fs, ft), lambda: direct.pairwise_similarity(fs, ft), True),
        "ifvd": (lambda: L.intra_class_variation(fs, ft, labels, classes), lambda: direct.ifvd(fs, ft, labels, classes), True),
        "dsd": (lambda: sum(L.double_similarity(*stages)), lambda: sum(direct.double_similarity(*stages)), True),
        "rdd-threshold": (lambda: L.hard_pixels(zs, labels, 0.7, kept), lambda: direct.hard_pixels(zs, labels, kept), False),
        "rdd-tfe": (lambda: L.teacher_agreement(zt, aux_t, size), lambda: direct.teacher_agreement(zt, aux_t, size), False),
        "rdd-tse": (
            lambda: L.relative_difficulty_loss(zs, zt, labels, "xor", 0.7, kept),
            lambda: direct.relative_difficulty(zs, zt, labels, kept),
            True,
        ),
        "fakd-cwd": (lambda: L.augmented_channel_kd(*fakd), lambda: direct.fakd_cwd(*fakd), True),
        "fakd-pd": (lambda: L.augmented_pixel_kd(*fakd), lambda: direct.fakd_pd(*fakd), True),
        "cirkd-memory": (
            lambda: L.memory_similarity(pixels_s, pixels_t, contrasts, 0.1, 1.0),
            lambda: direct.memory_similarity(pixels_s, pixels_t, contrasts, 0.1),
            True,
        ),
        "adversarial": (lambda: judge(pair), None, True),  # a network: there is nothing else to evaluate
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
            lambda: direct.fakd_pd(z, t, labels, weight, variance, 1.0),
            False,
        ),
        "target-label-noise": (
            lambda: L.noise_label(noise_labels, w_label, noise),
            lambda: direct.label_noise(noise_labels, w_label, noise),
            False,
        ),
        "target-cirkd": (lambda: L.cross_image_similarity(fs, ft), lambda: direct.cross_image(fs, ft), True),
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
    ours, formula, backward = table[name]
    chosen = ours if side == "ours" else formula
    if chosen is None:
        return {}
    small = torch.zeros(4, requires_grad=True)
    (small * 2).sum().backward()  # the autograd engine's own start is not the loss's memory
    before = peak_mb()
    seconds = timed(chosen, backward)
    memory = peak_mb() - before
    times: dict[str, list[float]] = {side: [seconds]}
    if side == "ours":
        other = {"ours": ours} | ({"direct": formula} if formula else {})
        times = {key: [] for key in other}
        for repeat in range(4):
            for key, call in other.items():
                duration = timed(call, backward)
                if repeat:
                    times[key].append(duration)
    result: dict[str, Any] = {"ms": {key: 1e3 * statistics.median(values) for key, values in times.items()}, "mb": memory}
    if side == "ours" and formula:
        result["difference"] = difference(ours(), formula())
    return result


def difference(ours: Tensor, formula: Tensor) -> float:
    """Largest difference over the largest value: that both sides compute the same."""
    ours, formula = ours.detach().float(), formula.detach().float()
    return float((ours - formula).abs().max() / formula.abs().max())


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
            result |= {key: measured[key] for key in ("difference",) if key in measured}
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
