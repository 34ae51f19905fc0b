"""The training loader beside plain decoding and cropping, and the time to `edgekd --help`.

python benchmarks/loader.py --data-root CAMVID [--out benchmarks/results/loader.json]

One core each, alternating: images a second of the whole sample path (decode image and mask, check labels, scale, crop, flip), of
`cv2.imread` + crop alone, and of the sample path with colour jitter. Memory is the process's growth over a thousand samples.
"""

import argparse
import resource
import statistics
import subprocess
import sys
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


def rate(call: Callable[[int], object], first: int) -> float:
    """Calls a second."""
    begin = time.perf_counter()
    for index in range(first, first + IMAGES):
        call(index)
    return IMAGES / (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", required=True)
    parser.add_argument("--out", default="benchmarks/results/loader.json")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    layout = open_layout("camvid", "train", arguments.data_root)
    if not isinstance(layout, FileLayout):
        raise TypeError("this benchmark reads files")
    recipe = DataRecipe(layout="camvid", size=(360, 480), crop=(360, 360))
    sets = {"loader": TrainSet(layout, recipe, 0), "loader-colour": TrainSet(layout, recipe.model_copy(update={"color": 0.3}), 0)}
    pairs = layout.pairs

    def plain(index: int) -> object:
        image, mask = pairs[index % len(pairs)]
        return cv2.imread(str(image))[:360, :360].copy(), cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)[:360, :360].copy()

    calls: dict[str, Callable[[int], object]] = {"imread-crop": plain, **{name: data.__getitem__ for name, data in sets.items()}}
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(arguments.rounds):
        for name, call in calls.items():
            rates[name].append(rate(call, number * IMAGES))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for index in range(1000):
        sets["loader"][index]
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    help_s = []
    for _ in range(7):
        begin = time.perf_counter()
        subprocess.run([sys.executable, "-m", "edgekd", "--help"], check=True, capture_output=True)
        help_s.append(time.perf_counter() - begin)
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device() | {"torch": torch.__version__, "opencv": cv2.__version__},
        "images_per_s": {name: statistics.median(values) for name, values in rates.items()},
        "share_of_imread_crop": {
            name: statistics.median(values) / statistics.median(rates["imread-crop"]) for name, values in rates.items()
        },
        "memory_growth_mb_over_1000": growth,
        "help_s": statistics.median(help_s),
    }
    write_json(Path(arguments.out), document)
    print(document)


if __name__ == "__main__":
    main()
