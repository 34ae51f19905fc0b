"""Training with unlabelled video: what the loader costs of a step, and memory over a long video.

python benchmarks/unlabelled.py [--frames 10000] [--steps 6] [--out benchmarks/results/unlabelled.json]

On one core. The step is CamVid's recipe (LR-ASPP EfficientNet-Lite0 under Lite2, 8 crops of 256×256, half of them from a 720p video,
random weights, no data set needed: the labelled half are drawn scenes of 360×480). Loader and step alternate in one process; the share is
the loader's part of both, which is what a step waits where the loader has no core of its own. Decoding the video once is apart. The
same step is also made with `teacher.cache`, on images that came before.
Memory is this process's resident set while it decodes a video of so many frames and while it then makes batches of all of them.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from edgekd.config import DataRecipe, Recipe, TrainRecipe
from edgekd.data import open_training
from edgekd.data.frames import open_frames, sources, taken
from edgekd.data.loader import checked, train_loader
from edgekd.data.streetscape import drive
from edgekd.data.video import frames
from edgekd.distill.cache import OutputCache
from edgekd.distill.objective import Distillation
from edgekd.distill.teacher import Teacher
from edgekd.loading import load_recipe
from edgekd.models import build_network
from edgekd_runtime import __version__
from edgekd_runtime.files import write_json
from edgekd_runtime.measurement import describe_device

HD, SMALL = (720, 1280), (96, 128)
POINTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/unlabelled.json"))
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        held = memory(Path(folder), arguments.frames)  # first: memory that a step had and freed would hide a leak
        found = {"step": step(Path(folder), arguments.steps), "memory": held}
    about = {"date": datetime.now(timezone.utc).isoformat(timespec="seconds"), "device": describe_device()}
    write_json(arguments.out, about | {"versions": {"edgekd": __version__, "torch": torch.__version__, "opencv": cv2.__version__}} | found)
    print(found)


def step(folder: Path, steps: int) -> dict[str, float]:
    """CPU milliseconds, medians: a batch, a step on it, the same step where the teacher's outputs are kept; of decoding a frame once."""
    video = written(folder / "hd.mp4", HD, 40)
    base = load_recipe("camvid")
    data = {"layout": "streetscape", "options": {"size": [360, 480], "count": 32}, "unlabelled": [str(video)]}
    recipe = Recipe.model_validate(base.model_dump() | {"data": base.data.model_dump() | data})
    begin = time.process_time()
    decoded = sum(1 for _ in frames(sources(recipe.data.unlabelled)[0].video or video, taken(recipe.data)))
    decoding = (time.process_time() - begin) / decoded
    layout = open_training(recipe)
    for index in range(len(layout)):
        layout.read(index)  # drawn once, as files would have been written once
    unlabelled = open_frames(recipe.data)
    batches = iter(train_loader(layout, recipe.data.model_copy(update={"workers": 0}), recipe.train, frames=unlabelled))
    teacher, student = build_network(recipe.teacher.model, len(layout.classes)), build_network(recipe.student, len(layout.classes))
    objective = Distillation(student, Teacher(teacher, needs_auxiliary=False), recipe.task, recipe.transfer).train()
    objective.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(objective.parameters())

    def work_on(image: torch.Tensor, labels: torch.Tensor, labelled: list[int]) -> float:
        begin = time.process_time()
        parts = objective(image.contiguous(memory_format=torch.channels_last), labels.long(), 0.0, labelled)
        sum(parts.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.process_time() - begin

    waits, works, reads = [], [], []
    kept = OutputCache(8 * (steps + 1), 1e9, features=False)
    for _ in range(steps + 1):  # the first warms up
        begin = time.process_time()
        batch = checked(next(batches))
        waits.append(time.process_time() - begin)
        objective.teacher.cache = None
        works.append(work_on(*batch))
        objective.teacher.cache = kept
        work_on(*batch)  # computes and keeps
        reads.append(work_on(*batch))
    wait, work, read = (statistics.median(times[1:]) for times in (waits, works, reads))
    return {
        "loader_ms": round(1e3 * wait, 1),
        "step_ms": round(1e3 * work, 1),
        "loader_share": round(wait / (wait + work), 4),
        "step_with_teacher_cache_ms": round(1e3 * read, 1),
        "teacher_cache_speed_up": round(work / read, 2),
        "decoding_a_frame_once_ms": round(1e3 * decoding, 1),
    }


def memory(folder: Path, count: int) -> dict[str, Any]:
    """Resident megabytes at a tenth, two tenths, … of the frames."""
    video = written(folder / "long.mp4", SMALL, count)
    data = DataRecipe(layout="streetscape", size=SMALL, unlabelled=[str(video)], unlabelled_share=1.0, workers=0)
    decoding = points((1 for _ in frames(video, taken(data))), count)
    unlabelled = open_frames(data)
    layout = open_training(Recipe.model_validate({"name": "memory", "data": data.model_dump(), "student": {"name": "none"}}))
    batches = train_loader(layout, data, TrainRecipe(steps=count // 8, batch_size=8), frames=unlabelled)
    return {"frames": count, "decoding_mb": decoding, "loading_mb": points((len(checked(batch)[0]) for batch in batches), count)}


def points(amounts: Iterator[int], count: int) -> list[float]:
    """Resident megabytes after each tenth of so many."""
    done, found = 0, []
    for amount in amounts:
        done += amount
        if done * POINTS >= count * (len(found) + 1):
            found.append(resident())
    return found


def resident() -> float:
    """Megabytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


def written(file: Path, size: tuple[int, int], count: int) -> Path:
    """A video of drawn frames, which repeat after 40."""
    drawn = [np.ascontiguousarray(image[..., ::-1]) for image, _ in drive(min(count, 40), size=size)]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"mp4v"), 25, size[::-1])
    for number in range(count):
        writer.write(drawn[number % len(drawn)])
    writer.release()
    return file


if __name__ == "__main__":
    main()
