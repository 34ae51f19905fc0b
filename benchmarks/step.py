"""A whole distillation step beside its floor: teacher forward, student forward and backward, plain cross entropy.

python benchmarks/step.py [--out benchmarks/results/step.json] [--rounds 8] [--size 360x360] [--batch 4] [--precision bf16] [--sync-debug]

All variants train the same student under the same teacher on the same batch, in alternation; the overhead is the median of the
ratios within a round, so that a drifting machine is fair to all. With --sync-debug a GPU's every wait for the host in a step is an error.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import torch

from edgekd.config import TaskRecipe, TransferRecipe
from edgekd.distill.lad import LabelNoiser
from edgekd.distill.objective import Distillation
from edgekd.distill.registry import TRANSFERS
from edgekd.distill.teacher import Teacher
from edgekd.models import Segmenter
from edgekd_runtime.files import write_json
from edgekd_runtime.measurement import describe_device
from edgekd_runtime.sizes import parse_size

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CLOCK = time.perf_counter if DEVICE.type == "cuda" else time.process_time  # CPU time: other work on the machine does not lengthen it
CLASSES = 11
PLAIN, DIFFICULTY = TaskRecipe(), TaskRecipe(weighting="difficulty", warmup=0.1)


def segmenter(name: str, in_channels: int = 3) -> Segmenter:
    model = Segmenter(name, CLASSES, in_channels=in_channels, output_stride=16)
    return model.to(DEVICE).to(memory_format=torch.channels_last)


def variants(student: str, teacher: str, methods: Sequence[str]) -> dict[str, tuple[Distillation, float]]:
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
        "lad-input": (objective(label_assisted, PLAIN), 0.5),
        **{name: (objective(ready, PLAIN, name), 0.5) for name in methods},
    }


def waits(call: Callable[[], object]) -> str | None:
    """What made the GPU and the host wait for each other; None if nothing did."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        call()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return None


def step(objective: Distillation, progress: float, image: torch.Tensor, labels: torch.Tensor, bf16: bool) -> float:
    """Seconds of one step without the optimiser."""
    begin = CLOCK()
    launch(objective, progress, image, labels, bf16)
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return CLOCK() - begin


def launch(objective: Distillation, progress: float, image: torch.Tensor, labels: torch.Tensor, bf16: bool) -> None:
    """Forward and backward, not waited for."""
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=bf16):
        loss = torch.stack(list(objective(image, labels, progress).values())).sum()
    loss.backward()
    objective.zero_grad()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="benchmarks/results/step.json")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--student", default="deeplabv3-resnet18")
    parser.add_argument("--teacher", default="deeplabv3-resnet101" if DEVICE.type == "cuda" else "deeplabv3-resnet50")
    parser.add_argument("--size", type=parse_size, default=(360, 360))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--precision", choices=["32", "bf16"], default="32")
    parser.add_argument("--methods", default=",".join(TRANSFERS), help="transfers, joined by commas")
    parser.add_argument("--sync-debug", action="store_true", help="record what makes a GPU wait for the host")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    bf16, (height, width) = arguments.precision == "bf16", arguments.size
    table = variants(arguments.student, arguments.teacher, arguments.methods.split(","))
    image = torch.randint(0, 256, (arguments.batch, 3, height, width), dtype=torch.uint8, device=DEVICE)
    image = image.to(memory_format=torch.channels_last)
    blocks = torch.randint(0, CLASSES, (arguments.batch, height // 8, width // 8), device=DEVICE)
    labels = blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)
    times: dict[str, list[float]] = {name: [] for name in table}
    for number in range(arguments.rounds + 1):
        for name, (objective, progress) in table.items():
            seconds = step(objective, progress, image, labels, bf16)
            if number:  # the first round warms up
                times[name].append(seconds)
        told = "  ".join(f"{name} {values[-1]:.2f} s" for name, values in times.items() if values)
        print(f"round {number}/{arguments.rounds}: {told}", flush=True)
    waited = {}
    if arguments.sync_debug and DEVICE.type == "cuda":
        for name, (objective, progress) in table.items():
            waited[name] = waits(lambda objective=objective, progress=progress: launch(objective, progress, image, labels, bf16))
    rows = []
    for name, values in times.items():
        ratios = [value / floor for value, floor in zip(values, times["floor"], strict=True)]
        row = {"name": name, "median_s": statistics.median(values), "overhead": statistics.median(ratios) - 1}
        rows.append(row | ({"waits": waited[name]} if name in waited else {}))
        print(f"{name:10s} {statistics.median(values):.3f} s  {100 * rows[-1]['overhead']:+.2f} %  {waited.get(name) or ''}")
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device() | {"torch": torch.__version__, "threads": torch.get_num_threads(), "kind": DEVICE.type},
        "student": arguments.student,
        "teacher": arguments.teacher,
        "size": arguments.size,
        "batch": arguments.batch,
        "precision": arguments.precision,
        "peak_bytes": torch.cuda.max_memory_allocated() if DEVICE.type == "cuda" else None,
        "rows": rows,
    }
    write_json(Path(arguments.out), document)


if __name__ == "__main__":
    main()
