"""What the quickstart's distillation with unlabelled video gains over the student alone, seed by seed.

python benchmarks/quickstart_seeds.py [--seeds 0,1,2,3,4] [--out runs/quickstart-seeds] [--results benchmarks/results/quickstart-seeds.json]

Makes the three trainings of `edgekd quickstart` for each seed, each scored on the 64 validation scenes at its last step. A seed that is
recorded for the recipe as it is now is not trained again; several processes may share the seeds and the results.
"""

import argparse
import statistics
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from edgekd.data.streetscape import CLASSES
from edgekd.loading import load_recipe
from edgekd.quickstart import FRAMES_OF_A_STREET, LABELS, STREETS, trainings
from edgekd.runs import Run
from edgekd_runtime import __version__
from edgekd_runtime.files import read_json, write_json
from edgekd_runtime.measurement import describe_device


def measured(seed: int, folder: Path) -> dict[str, Any]:
    """Scores, in percent: mIoU and IoU by class of the three models, the gain in points, and the CPU seconds that all of it took."""
    begin = time.process_time()
    runs = trainings(load_recipe("quickstart", [{"train": {"seed": seed}}]), folder)
    scores = {name: [record for record in Run(run).history() if "val" in record][-1]["val"] for name, run in runs.items()}
    miou = {name: round(100 * score["miou"], 2) for name, score in scores.items()}
    by_class = {
        name: dict(zip(CLASSES.names, (round(100 * iou, 1) for iou in score["iou"]), strict=True)) for name, score in scores.items()
    }
    seconds = round(time.process_time() - begin, 1)
    return {"seed": seed, "miou": miou, "gain": round(miou["distilled"] - miou["baseline"], 2), "cpu_seconds": seconds, "iou": by_class}


def recorded(results: Path, recipe: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """What is known of this recipe, by seed."""
    known = read_json(results) if results.is_file() else {}
    return {one["seed"]: one for one in known["seeds"]} if known.get("recipe") == recipe else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--out", type=Path, default=Path("runs/quickstart-seeds"))
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/quickstart-seeds.json"))
    arguments = parser.parse_args()
    recipe = load_recipe("quickstart").model_dump(mode="json", exclude_defaults=True)
    recipe["quickstart"] = {"labels": LABELS, "streets": STREETS, "frames": STREETS * FRAMES_OF_A_STREET}
    for seed in map(int, arguments.seeds.split(",")):
        if seed in recorded(arguments.results, recipe):
            continue
        one = measured(seed, arguments.out / str(seed))
        seeds = {**recorded(arguments.results, recipe), seed: one}
        gains = [seeds[key]["gain"] for key in sorted(seeds)]
        about = {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "device": describe_device(),
            "versions": {"edgekd": __version__, "torch": torch.__version__},
            "gain": {"least": min(gains), "mean": round(statistics.fmean(gains), 2)},
        }
        write_json(arguments.results, about | {"recipe": recipe, "seeds": [seeds[key] for key in sorted(seeds)]})
        print(one)


if __name__ == "__main__":
    main()
