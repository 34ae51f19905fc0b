"""A run that is stopped and goes on, beside one that is not: python benchmarks/gpu/resumed.py FOLDER STEPS.

On a CPU both end bit by bit alike; on a GPU, whose sums have no order, the difference of the losses is recorded.
"""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

STOPPED = 130


def command(out: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "edgekd", "train", *words, "--out", str(out)]


def losses(folder: Path) -> dict[int, float]:
    """By step."""
    file = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


def main(folder: str, steps: str) -> int:
    whole, broken = Path(folder, "whole"), Path(folder, "broken")
    given = ["--recipe", "quickstart", "--steps", steps, "--set", "train.log_every=1", "--set", "train.speed.cudnn_benchmark=false"]
    subprocess.run(command(whole, *given, "--overwrite"), check=True)
    process = subprocess.Popen(command(broken, *given, "--overwrite"))
    while process.poll() is None and len(losses(broken)) < int(steps) // 4:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    stopped = process.wait() == STOPPED
    at = len(losses(broken))
    if stopped:
        subprocess.run(command(broken, "--resume"), check=True)
    one, other = losses(whole), losses(broken)
    worst = max(abs(one[step] - other[step]) / abs(one[step]) for step in one)
    told = {"stopped_at": at, "was_stopped": stopped, "steps": len(other), "largest_relative_difference": worst}
    Path(folder, "told.json").write_text(json.dumps(told), encoding="utf-8")
    return int(not (stopped and len(other) == len(one)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
