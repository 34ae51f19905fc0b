"""The training loader beside plain decoding and cropping, opening a large data set, and the time to `edgekd --help`.

python benchmarks/loader.py --data-root CAMVID [--layout camvid] [--out benchmarks/results/loader.json]

One core each, alternating: images a second of the whole sample path (decode image and mask, check labels, scale, crop, flip), of
`cv2.imread` + crop alone, and of the sample path with colour jitter. Memory is the process's growth over a thousand samples.
Opening is of COCO-Stuff 164K's 118,287 pairs, made up as empty files, beside a bare `os.scandir` of the same two folders.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import cv2
import torch

from edgekd.config import DataRecipe
from edgekd.data import open_layout
from edgekd.data.files import FileLayout
from edgekd.data.loader import TrainSet
from edgekd_runtime.files import write_json
from edgekd_runtime.measurement import describe_device

IMAGES = 40
COCO_PAIRS = 118_287


def seconds(call: Callable[[], object], repeats: int = 7) -> float:
    """Median time of a call."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def sample_rates(layout: FileLayout, rounds: int) -> tuple[dict[str, float], float]:
    """Images a second by path, and the growth of memory in MB over a thousand samples."""
    recipe = DataRecipe(layout="camvid", size=(360, 480), crop=(360, 360))
    sets = {"loader": TrainSet(layout, recipe, 0), "loader-colour": TrainSet(layout, recipe.model_copy(update={"color": 0.3}), 0)}

    def plain(index: int) -> object:
        image, mask = layout.pairs[index % len(layout)]
        return cv2.imread(image)[:360, :360].copy(), cv2.imread(mask, cv2.IMREAD_UNCHANGED)[:360, :360].copy()

    calls: dict[str, Callable[[int], object]] = {"imread-crop": plain, **{name: data.__getitem__ for name, data in sets.items()}}
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name, call in calls.items():
            first = number * IMAGES
            rates[name].append(IMAGES / seconds(lambda call=call, first=first: [call(first + step) for step in range(IMAGES)], 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(1000):
        sets["loader"][index]
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    return {name: statistics.median(values) for name, values in rates.items()}, growth


def opening() -> dict[str, float]:
    """Seconds to open COCO-Stuff's pairs, and to list their folders with `os.scandir` alone."""
    with tempfile.TemporaryDirectory() as root:
        folders = {Path(root, "images/train2017"): "jpg", Path(root, "annotations/train2017"): "png"}
        for folder, suffix in folders.items():
            folder.mkdir(parents=True)
            for number in range(COCO_PAIRS):
                os.close(os.open(f"{folder}/{number:012d}.{suffix}", os.O_CREAT | os.O_WRONLY))
        if len(open_layout("coco_stuff", "train", root)) != COCO_PAIRS:
            raise RuntimeError("not every pair was found")
        found = {
            "scandir_s": seconds(lambda: [file.name for folder in folders for file in os.scandir(folder)]),
            "open_s": seconds(lambda: open_layout("coco_stuff", "train", root)),
        }
    return found | {"pairs": COCO_PAIRS, "times_scandir": found["open_s"] / found["scandir_s"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--layout", default="camvid")
    parser.add_argument("--out", default="benchmarks/results/loader.json")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    layout = open_layout(arguments.layout, "train", arguments.data_root)
    if not isinstance(layout, FileLayout):
        raise TypeError("this benchmark reads files")
    rates, growth = sample_rates(layout, arguments.rounds)
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device() | {"torch": torch.__version__, "opencv": cv2.__version__},
        "layout": arguments.layout,
        "images_per_s": rates,
        "share_of_imread_crop": {name: value / rates["imread-crop"] for name, value in rates.items()},
        "memory_growth_mb_over_1000": growth,
        "opening": opening(),
        "help_s": seconds(lambda: subprocess.run([sys.executable, "-m", "edgekd", "--help"], check=True, capture_output=True)),
    }
    write_json(Path(arguments.out), document)
    print(document)


if __name__ == "__main__":
    main()
