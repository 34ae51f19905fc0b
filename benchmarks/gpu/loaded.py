"""The loader's rate by workers, on drawn 1024×2048 files cut to 512×1024: python benchmarks/gpu/loaded.py OUT.json --workers 4,8,15."""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from edgekd.config import DataRecipe, TrainRecipe
from edgekd.data import open_layout
from edgekd.data.loader import checked, train_loader

SIZE, CROP = (1024, 2048), (512, 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", default="4,8,15")
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--images", type=int, default=16, help="files drawn")
    given = parser.parse_args()
    from drawn import draw

    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("png", "jpg"):
            root = draw(Path(folder, kind), kind, given.images, SIZE)
            layout = open_layout("folder", "train", str(root))
            for workers in map(int, given.workers.split(",")):
                data = DataRecipe(layout="folder", size=SIZE, crop=CROP, workers=workers)
                batches = iter(train_loader(layout, data, TrainRecipe(steps=given.batches + 2, batch_size=given.batch)))
                for _ in range(2):  # the workers start
                    checked(next(batches))
                begin = time.perf_counter()
                for _ in range(given.batches):
                    checked(next(batches))
                rates[f"{kind}-{workers}"] = given.batches * given.batch / (time.perf_counter() - begin)
    text = json.dumps({"cores": len(os.sched_getaffinity(0)), "size": SIZE, "crop": CROP, "images_per_s": rates})
    given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
