"""ONNX Runtime latency as `edgekd bench` measures it, against a bare loop over the same session on the same input.

python benchmarks/latency.py MODEL [MODEL ...] [--out benchmarks/results/latency.json] [--rounds 60] [--threads 1 2]

Each round times a stretch of both, in an order that alternates; the ratio of a round is of their medians, and the result is the
median of those ratios. `bench` stands for what it runs: `edgekd_runtime.latency.measure` over the network stage of `stage_calls`.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from edgekd_runtime.backends import open_session
from edgekd_runtime.files import write_json
from edgekd_runtime.latency import Timing, measure
from edgekd_runtime.measurement import describe_device
from edgekd_runtime.stages import stage_calls

SETTLE_S = 0.05


def bare_loop(session: onnxruntime.InferenceSession, entry: str, image: np.ndarray, seconds: float) -> float:
    """Median milliseconds of `session.run` in the shortest loop there is, after some that are not counted."""
    times: list[float] = []
    begin = time.perf_counter() + SETTLE_S
    while (start := time.perf_counter()) < begin + seconds or not times:
        session.run(None, {entry: image})
        if start >= begin:
            times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def as_bench(call: Callable[[], object], seconds: float) -> float:
    """Median milliseconds by `measure`, one round of it."""
    (turns,) = measure([call], Timing(warmup_s=0, settle_s=SETTLE_S, seconds=seconds, iterations=1, rounds=1))
    if isinstance(turns, Exception):
        raise turns
    return 1e3 * statistics.median(turns[0].times)


def row_of(model: Path, rounds: int, seconds: float, threads: int) -> dict[str, Any]:
    with open_session(model, "onnxruntime-cpu", threads) as session:
        image = np.random.default_rng(0).integers(0, 256, (*session.artifact.size, 3)).astype(np.uint8)
        call = stage_calls(session, image, 1, None)["network"]
        inner = session._session  # the same session, without what is around it
        entry, ready = inner.get_inputs()[0].name, image[None]
        ways: dict[str, Callable[[], float]] = {
            "bench": lambda: as_bench(call, seconds),
            "bare": lambda: bare_loop(inner, entry, ready, seconds),
        }
        measured = [{name: ways[name]() for name in sorted(ways, reverse=number % 2 == 1)} for number in range(rounds)]
    ratios = sorted(one["bench"] / one["bare"] for one in measured)
    row = {
        "model": session.artifact.model,
        "size": session.artifact.size,
        "backend": f"{session.backend} {session.version}",
        "threads": threads,
        "median_ratio": statistics.median(ratios),
        "quartiles": [ratios[rounds // 4], ratios[-1 - rounds // 4]],
        "rounds": measured,
    }
    print(
        f"{row['model']} {row['size']}, {threads} thread(s): median ratio {row['median_ratio']:.4f}, quartiles {row['quartiles']}",
        flush=True,
    )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--out", default="benchmarks/results/latency.json")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    arguments = parser.parse_args()
    rows = [row_of(model, arguments.rounds, arguments.seconds, threads) for model in arguments.models for threads in arguments.threads]
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device(),
        "rows": rows,
    }
    write_json(Path(arguments.out), document)


if __name__ == "__main__":
    main()
