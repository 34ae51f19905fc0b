"""OpenVINO's final resize by matrix products beside its own, and ONNX Runtime: milliseconds and class maps, in alternating rounds.

`python benchmarks/openvino_resize.py MODEL.onnx … [--threads 1 2]`: exported FP32 or INT8 models.
"""

import argparse
import statistics
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.backends import openvino
from edgekd_runtime.backends.base import Session
from edgekd_runtime.backends.onnxruntime import OnnxRuntimeSession
from edgekd_runtime.files import write_json
from edgekd_runtime.latency import Timing, measure
from edgekd_runtime.measurement import describe_device


def opened(file: Path, threads: int) -> dict[str, Session]:
    artifact = load_artifact(file)
    with patch.object(openvino, "resize_by_products", lambda model: 0):
        before = openvino.OpenVINOSession(file, artifact, threads)
    return {
        "onnxruntime": OnnxRuntimeSession(file, artifact, threads, provider="CPUExecutionProvider", backend="onnxruntime-cpu"),
        "openvino, its own resize": before,
        "openvino, by products": openvino.OpenVINOSession(file, artifact, threads),
    }


def row(file: Path, threads: int, rounds: int) -> dict[str, Any]:
    sessions = opened(file, threads)
    about = next(iter(sessions.values())).artifact
    images = np.random.default_rng(0).integers(0, 256, (4, 1, *about.size, 3)).astype(np.uint8)
    maps = {name: [session.run(image) for image in images] for name, session in sessions.items()}
    turns = measure([lambda session=one: session.run(images[0]) for one in sessions.values()], Timing(seconds=2.0, rounds=rounds))
    medians = {name: [1e3 * statistics.median(turn.times) for turn in each] for name, each in zip(sessions, turns, strict=True)}
    own, products = medians["openvino, its own resize"], medians["openvino, by products"]
    pairs = zip(maps["openvino, its own resize"], maps["openvino, by products"], strict=True)
    return {
        "model": about.model,
        "size": about.size,
        "precision": about.precision,
        "threads": threads,
        "ms": {name: statistics.median(values) for name, values in medians.items()},
        "times_faster": statistics.median(one / other for one, other in zip(own, products, strict=True)),
        "equal_pixels": float(np.mean([one == other for one, other in pairs])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/openvino-resize.json"))
    given = parser.parse_args()
    rows = []
    for file in given.models:
        for threads in given.threads:
            rows.append(row(file, threads, given.rounds))
            print(rows[-1], flush=True)
    versions = {name: metadata.version(name) for name in ("openvino", "onnxruntime")}
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    write_json(given.out, {"date": date, "device": describe_device(), "versions": versions, "rounds": given.rounds, "rows": rows})


if __name__ == "__main__":
    main()
