"""Measurements such as a lab gathers, on several devices and backends, in sweeps; their latencies are summed up as measured ones are."""

import hashlib
from dataclasses import replace
from itertools import cycle, islice, product
from typing import Any

import numpy as np

from edgekd_runtime.accuracy import Accuracy
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.latency import Latency, Timing, Turn, summarise, warnings
from edgekd_runtime.measurement import Measurement
from edgekd_runtime.power.sampler import Energy

CLASSES = ClassSet(tuple(f"class {index} of a street" for index in range(22)), default_palette(22))
DEVICES = (  # name, milliseconds of the smallest student, its backends, watts
    ("NVIDIA Jetson Orin Nano Developer Kit", 4.0, ("tensorrt", "onnxruntime-cuda"), 11.0),
    ("NVIDIA H200", 0.4, ("tensorrt", "onnxruntime-cuda"), 180.0),
    ("AMD EPYC 9R14 96-Core Processor", 9.0, ("onnxruntime-cpu", "openvino"), None),
    ("Raspberry Pi 5 Model B Rev 1.0", 60.0, ("onnxruntime-cpu",), None),
)
MODELS = (  # name, cost and mIoU beside the smallest student's
    ("lraspp-mobilenetv3_small_050", 1.0, 0.55),
    ("lraspp-mobilenetv3_large_100", 2.1, 0.63),
    ("lraspp-tf_efficientnet_lite0", 3.0, 0.66),
    ("deeplabv3-resnet18", 9.0, 0.69),
    ("fcn-hrnet_w18_small_v2", 16.0, 0.72),
)
METHODS = {"baseline": 0.0, "pd": 0.006, "cwd": 0.019, "fakd-cwd": 0.022, "rdd": 0.025, "cirkd": 0.015, "skds": 0.009}
PRECISIONS = {"fp32": (1.0, 0.0), "fp16": (0.62, -0.0004), "int8": (0.41, -0.006)}
GPU = ("tensorrt", "onnxruntime-cuda")
CALLS = 144


def realistic(count: int, seed: int = 0) -> list[Measurement]:
    """So many measurements."""
    random = np.random.default_rng(seed)
    runs = [(*device, backend) for *device, backends, _ in DEVICES for backend in backends]
    watts = {name: power for name, *_, power in DEVICES}
    cases = product(MODELS, METHODS, PRECISIONS, runs, (1, 4))
    some = list(cases)
    random.shuffle(some)  # type: ignore[arg-type]
    return [
        _measurement(random, number, model, method, precision, run, batch, watts[run[0]])
        for number, (model, method, precision, run, batch) in enumerate(islice(cycle(some), count))
    ]


def _measurement(
    random: np.random.Generator,
    number: int,
    model: tuple[str, float, float],
    method: str,
    precision: str,
    run: tuple[str, float, str],
    batch: int,
    watts: float | None,
) -> Measurement:
    (name, cost, miou), (faster, lost), (device, unit, backend) = model, PRECISIONS[precision], run
    network = cost * faster * unit * batch**0.8 * random.lognormal(0, 0.05)
    parts = {"decode": 2.4, "preprocess": 0.35 * unit, "network": network, "postprocess": 0.2 * unit}
    stages = {**parts, "end_to_end": sum(parts.values())}
    if backend in GPU:
        stages |= {"h2d": 0.05 * network, "compute": 0.9 * network, "d2h": 0.05 * network}
    latency = {stage: _latency(random, median) for stage, median in stages.items()}
    iou = np.clip(miou + METHODS[method] + lost + np.linspace(-0.3, 0.3, len(CLASSES)) + random.normal(0, 0.02, len(CLASSES)), 0.02, 0.98)
    energy = (
        {
            stage: Energy("tegrastats", "the board", watts, watts * latency[stage].p50_ms / 1e3 / batch, 4.1)
            for stage in ("network", "end_to_end")
        }
        if watts
        else {}
    )
    return Measurement(
        artifact=artifact(name, method, precision),
        path=f"runs/{name}/{method}/export/{precision}/model.{'engine' if backend == 'tensorrt' else 'onnx'}",
        size_bytes=int(4e6 * cost * faster),
        backend=backend,
        backend_version="10.3.0" if backend == "tensorrt" else "1.31.0",
        threads=0 if backend in GPU else 1 + number % 4,
        latency=latency,
        accuracy=Accuracy(float(iou.mean()), 0.4 + float(iou.mean()) * 0.8, float(iou.mean()) + 0.05, tuple(map(float, iou))),
        images=500,
        timing=Timing(),
        device={"name": device, "cores": 6, "system": "Linux-6.1", "python": "3.12.1", "numpy": "2.2.0", "edgekd_runtime": "0.1.0"},
        date=f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T10:00:00+00:00",
        batch=batch,
        peak_memory_bytes=int(6e7 + 3e7 * cost),
        energy=energy,
        state={"before": {"cpu_mhz": 1510.0, "hottest_celsius": 45.0}, "after": {"cpu_mhz": 1510.0, "hottest_celsius": 58.5}},
        warnings=warnings(replace(latency["network"], drift=0.0)),
    )


def artifact(model: str, method: str, precision: str, **facts: Any) -> Artifact:
    """What an exported file's sidecar says, with these facts of its own."""
    made = {
        "name": f"{model} {method} {precision}",
        "size": (512, 1024),
        "output": "classes",
        "classes": CLASSES,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "opset": 18,
        "sha256": _digest(model, method, precision),
        "source_sha256": _digest(model, method),
        "parity": {"images": 8, "pixel_agreement": 0.99987, "logit_error": 1e-6, "backend": "onnxruntime"},
    }
    return Artifact(model=model, method=method, precision=precision, **{**made, **facts})


def _digest(*words: str) -> str:
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def _latency(random: np.random.Generator, median_ms: float) -> Latency:
    """A mode, a smaller slower one, and stragglers."""
    times = median_ms / 1e3 * random.lognormal(0, 0.02, CALLS) * np.where(random.random(CALLS) < 0.12, 1.06, 1.0)
    times[random.random(CALLS) < 0.01] *= 2.5
    return summarise([Turn(0.0, float(times.sum()), tuple(map(float, times)))])
