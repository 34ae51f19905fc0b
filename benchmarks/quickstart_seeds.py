"""What the quickstart's distillation gains over the student alone, seed by seed.

python benchmarks/quickstart_seeds.py [--seeds 5] [--out runs/quickstart-seeds] [--results benchmarks/results/quickstart-seeds.json]

Runs `edgekd quickstart` once a seed; a seed that is recorded for this version of the recipe is not run again.
"""

import argparse
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from edgekd.loading import load_recipe
from edgekd_runtime import __version__
from edgekd_runtime.files import read_json, write_json
from edgekd_runtime.measurement import describe_device, load_results


def run(seed: int, folder: Path) -> dict[str, Any]:
    """Scores of teacher, student alone and distilled student, in percent; classes of the teacher that it never finds; seconds."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-m", "edgekd", "quickstart", "--seed", str(seed), "--out", str(folder)], check=True)
    scores = [one.accuracy for one in load_results(folder / "bench.json") if one.accuracy]
    teacher, alone, distilled = (100 * score.miou for score in scores)
    unseen = [index for index, iou in enumerate(scores[0].iou) if iou == 0]
    gain = {"gain": round(distilled - alone, 3), "teacher_classes_at_0": unseen, "seconds": round(time.monotonic() - begin, 1)}
    return {"seed": seed, "teacher": round(teacher, 3), "alone": round(alone, 3), "distilled": round(distilled, 3)} | gain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/quickstart-seeds"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/quickstart-seeds.json"))
    arguments = parser.parse_args()
    recipe = load_recipe("quickstart").model_dump(mode="json", exclude_defaults=True)
    known = read_json(arguments.results) if arguments.results.is_file() else {}
    seeds = {one["seed"]: one for one in known.get("seeds", [])} if known.get("recipe") == recipe else {}
    for seed in range(arguments.seeds):
        if seed not in seeds:
            seeds[seed] = run(seed, arguments.out / str(seed))
            about = {"date": datetime.now(timezone.utc).isoformat(timespec="seconds"), "device": describe_device()}
            versions = {"edgekd": __version__, "torch": torch.__version__}
            write_json(arguments.results, about | {"versions": versions, "recipe": recipe, "seeds": [seeds[key] for key in sorted(seeds)]})
        print(seeds[seed])


if __name__ == "__main__":
    main()
