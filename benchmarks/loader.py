"""The training loader beside plain decoding and cropping, opening a large data set, and the time to `edgekd --help`.

python benchmarks/loader.py --data-root CAMVID [--layout camvid] [--out benchmarks/results/loader.json]
python benchmarks/loader.py --large     # drawn 1024×2048 files, cut to 512×1024; goes into the same file

One core each, alternating: images a second of the whole sample path (decode image and mask, check labels, scale, crop, flip), of
`cv2.imread` + crop alone, and of the sample path with colour jitter. Memory is the process's growth over a thousand samples.
`--large` alternates the sample path with the one that resizes the whole image before it cuts, and with decoding alone.
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
import PIL
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from edgekd.config import DataRecipe
from edgekd.data import open_layout
from edgekd.data.files import FileLayout
from edgekd.data.layout import Layout
from edgekd.data.loader import TrainSet
from edgekd.data.transforms import GREY
from edgekd_runtime.classes import IGNORE
from edgekd_runtime.files import read_json, write_json
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


def large(rounds: int) -> dict[str, dict[str, float]]:
    """Images a second of one core's time of 1024×2048 files cut to 512×1024 at scales 0.5–2, by kind of file and way."""
    sys.path.insert(0, str(Path(__file__).parent / "gpu"))
    from drawn import draw

    recipe = DataRecipe(layout="folder", size=(1024, 2048), crop=(512, 1024))
    count, rates = 6, {}
    scale_first = v2.Compose(
        [
            v2.ScaleJitter((2048, 1024), recipe.scale, antialias=True),
            v2.RandomCrop((512, 1024), pad_if_needed=True, fill={tv_tensors.Image: GREY, tv_tensors.Mask: IGNORE}),
            v2.RandomHorizontalFlip(),
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("png", "jpg"):
            layout = open_layout("folder", "train", str(draw(Path(folder, kind), kind, count, (1024, 2048))))
            crop_first = TrainSet(layout, recipe, 0)

            def whole(index: int, layout: Layout = layout) -> object:
                torch.manual_seed(index)
                sample = layout.read(index % count)
                image = torch.from_numpy(sample.image).permute(2, 0, 1).contiguous()
                return scale_first(tv_tensors.Image(image), tv_tensors.Mask(torch.from_numpy(sample.label)))

            calls = {
                "decode": lambda index, layout=layout: layout.read(index % count),
                "scale-first": whole,
                "crop-first": crop_first.__getitem__,
            }
            found: dict[str, list[float]] = {name: [] for name in calls}
            for number in range(rounds):
                for name, call in calls.items():
                    begin = time.process_time()  # other work on the machine does not count
                    for index in range(number * count, (number + 1) * count):
                        call(index)
                    found[name].append(count / (time.process_time() - begin))
            rates[kind] = {name: statistics.median(values) for name, values in found.items()}
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--layout", default="camvid")
    parser.add_argument("--out", default="benchmarks/results/loader.json")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if arguments.large:
        found = {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "device": describe_device() | {"torch": torch.__version__, "opencv": cv2.__version__, "pillow": PIL.__version__},
            "size": [1024, 2048],
            "crop": [512, 1024],
            "images_per_s_and_core": large(arguments.rounds),
        }
        write_json(Path(arguments.out), read_json(arguments.out) | {"large": found})
        print(found)
        return
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
