"""A whole distillation step beside its floor: teacher forward, student forward and backward, plain cross entropy.

python benchmarks/step.py [--out benchmarks/results/step.json] [--rounds 8]

All variants train the same student under the same teacher on the same batch, in alternation; the overhead is the median of the
ratios within a round, so that a drifting machine is fair to all.
"""

import argparse
import statistics
import time
from datetime import datetime, timezone
from pathlib import Path

import torch

from edgekd.config import TaskRecipe, TransferRecipe
from edgekd.distill.lad import LabelNoiser
from edgekd.distill.objective import Distillation
from edgekd.distill.teacher import Teacher
from edgekd.models import Segmenter
from edgekd_runtime.files import write_json
from edgekd_runtime.measurement import describe_device

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CLASSES, SIZE, BATCH = 11, (360, 360), 4
PLAIN, DIFFICULTY = TaskRecipe(), TaskRecipe(weighting="difficulty", warmup=0.1)


def segmenter(name: str, in_channels: int = 3) -> Segmenter:
    model = Segmenter(name, CLASSES, in_channels=in_channels, output_stride=16)
    return model.to(DEVICE).to(memory_format=torch.channels_last)


def variants(student: str, teacher: str) -> dict[str, tuple[Distillation, float]]:
    """Name → (objective, share of the run it is in)."""
    ready = Teacher(segmenter(teacher))
    label_assisted = Teacher(segmenter(teacher, 4), LabelNoiser(CLASSES))
    model = segmenter(student)

    def objective(source: Teacher, task: TaskRecipe, *methods: str) -> Distillation:
        return Distillation(model, source, task, [TransferRecipe(method=name) for name in methods]).to(DEVICE).train()

    return {
        "floor": (objective(ready, PLAIN), 0.5),
        "rdd-tfe": (objective(ready, DIFFICULTY), 0.0),
        "rdd-tse": (objective(ready, DIFFICULTY), 0.5),
        "fakd-cwd": (objective(ready, PLAIN, "fakd-cwd"), 0.5),
        "lad-input": (objective(label_assisted, PLAIN), 0.5),
        "pd": (objective(ready, PLAIN, "pd"), 0.5),
        "cwd": (objective(ready, PLAIN, "cwd"), 0.5),
    }


def step(objective: Distillation, progress: float, image: torch.Tensor, labels: torch.Tensor) -> float:
    """Seconds of one step without the optimiser."""
    begin = time.perf_counter()
    torch.stack(list(objective(image, labels, progress).values())).sum().backward()
    objective.zero_grad()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="benchmarks/results/step.json")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--student", default="deeplabv3-resnet18")
    parser.add_argument("--teacher", default="deeplabv3-resnet50")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    table = variants(arguments.student, arguments.teacher)
    image = torch.randint(0, 256, (BATCH, 3, *SIZE), dtype=torch.uint8, device=DEVICE).to(memory_format=torch.channels_last)
    labels = torch.randint(0, CLASSES, (BATCH, 45, 45), device=DEVICE).repeat_interleave(8, 1).repeat_interleave(8, 2)
    times: dict[str, list[float]] = {name: [] for name in table}
    for number in range(arguments.rounds + 1):
        for name, (objective, progress) in table.items():
            seconds = step(objective, progress, image, labels)
            if number:  # the first round warms up
                times[name].append(seconds)
        print(
            f"round {number}/{arguments.rounds}: " + "  ".join(f"{name} {values[-1]:.2f} s" for name, values in times.items() if values),
            flush=True,
        )
    rows = []
    for name, values in times.items():
        ratios = [value / floor for value, floor in zip(values, times["floor"], strict=True)]
        rows.append({"name": name, "median_s": statistics.median(values), "overhead": statistics.median(ratios) - 1})
        print(f"{name:10s} {statistics.median(values):.3f} s  {100 * rows[-1]['overhead']:+.2f} %")
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device() | {"torch": torch.__version__, "threads": torch.get_num_threads(), "kind": DEVICE.type},
        "student": arguments.student,
        "teacher": arguments.teacher,
        "size": SIZE,
        "batch": BATCH,
        "rows": rows,
    }
    write_json(Path(arguments.out), document)


if __name__ == "__main__":
    main()
