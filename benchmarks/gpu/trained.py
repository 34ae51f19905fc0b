"""A run of `edgekd train` or `edgekd distill`, told in a file: python benchmarks/gpu/trained.py RUN VERB WORDS….

``RUN/told.json`` holds the seconds, the first and last losses, the images a second and every validation.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def told(folder: Path) -> dict[str, Any]:
    """Of a run's log."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if "loss" in line]
    rates = [line["images_per_s"] for line in steps]
    return {
        "steps": steps[-1]["step"],
        "first_loss": steps[0]["loss"],
        "last_loss": steps[-1]["loss"],
        "images_per_s": statistics.median(rates[len(rates) // 2 :]),
        "validations": [{"step": line["step"], "miou": line["val"]["miou"]} for line in lines if "val" in line],
    }


def main(run: str, verb: str, *words: str) -> int:
    folder = Path(run)
    recipe = [] if "--recipe" in words else ["--recipe", "quickstart"]
    chosen = ["--set", "train.log_every=1", "--overwrite", "--out", run]
    folder.parent.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "edgekd", verb, *recipe, *words, *chosen], check=False)
    if done.returncode == 0:
        text = json.dumps({"command": [verb, *words], "seconds": round(time.monotonic() - begin, 1), **told(folder)})
        (folder / "told.json").write_text(text, encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
