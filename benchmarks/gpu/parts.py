"""The four calls as data: which commands each part runs, for how long at most, and which files it leaves."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
LIMIT_S = 480
"""Of a call: all parts together."""
PYTHON = sys.executable


@dataclass(frozen=True)
class Place:
    """Where a call runs.

    Attributes:
        work: Folder of runs and models; kept between calls on the same machine.
        small: A CPU's size.
        camvid: CamVid's folder; None = drawn streets stand in for it.
        weights: Folder with ``lite0.pth`` and ``lite2.pth``; None = from scratch.
    """

    work: Path
    small: bool
    camvid: str | None = None
    weights: str | None = None

    def of(self, full: int, small: int) -> str:
        """A number of a command."""
        return str(small if self.small else full)


@dataclass(frozen=True)
class Part:
    """A part of a call.

    Attributes:
        name: For ``PARTS=``.
        seconds: Its time at most.
        commands: One after another, until one fails.
        results: Key of the record → JSON file that a command writes.
        missing: Why it can't run here; empty = it can.
    """

    name: str
    seconds: int
    commands: list[list[str]]
    results: dict[str, Path] = field(default_factory=dict)
    missing: str = ""


def _script(name: str, *words: str) -> list[str]:
    return [PYTHON, str(HERE / name), *words]


def _edgekd(*words: str) -> list[str]:
    return [PYTHON, "-m", "edgekd", *words]


def streams_and_steps(place: Place) -> list[Part]:
    """Call 1: what is there, streams and graphs, what each loss costs a step."""
    found, streams = place.work / "check.json", place.work / "streams.json"
    rounds = ["--rounds", place.of(20, 1), *(["--student", "fcn-resnet10t", "--teacher", "fcn-resnet18"] if place.small else [])]
    precision = ["--precision", "32" if place.small else "bf16"]
    sizes = {"step-360": (["360x360", "16"], ["64x64", "2"]), "step-512x1024": (["512x1024", "16"], ["64x128", "2"])}
    steps = []
    for name, (full, small) in sizes.items():
        size, batch = small if place.small else full
        out = place.work / f"{name}.json"
        words = ["--size", size, "--batch", batch, *rounds, *precision, "--sync-debug", "--out", str(out)]
        steps.append(Part(name, 190, [[PYTHON, "benchmarks/step.py", *words]], {"step": out}))
    return [
        Part("check", 60, [_script("checked.py", str(found))], {"check": found}),
        Part("streams", 60, [_script("streams.py", str(streams))], {"streams": streams}),
        *steps,
    ]


def training(place: Place) -> list[Part]:
    """Call 2: the tests that want a GPU; fp16, bf16, resuming; the whole chain."""
    # 0 tests are no failure: a CPU has none
    tests = _script("tested.py", str(place.work / "tests.json"))
    runs = []
    for precision in ("16", "bf16"):
        out = place.work / f"trained-{precision}" / "run"  # its teacher lies beside it
        words = ["--steps", place.of(200, 4), "--set", f"train.precision={precision}", "--set", "teacher.steps=" + place.of(200, 4)]
        why = "fp16 trains on a GPU only" if place.small and precision == "16" else ""
        runs.append(
            Part(f"precision-{precision}", 90, [_script("trained.py", str(out), "distill", *words)], {"run": out / "told.json"}, why)
        )
    chain = place.work / "quickstart"
    steps = [word for key, full in (("train.steps", 600), ("teacher.steps", 400)) for word in ("--set", f"{key}={place.of(full, 4)}")]
    return [
        Part("tests", 150, [tests], {"tests": place.work / "tests.json"}),
        *runs,
        Part(
            "resume",
            90,
            [_script("resumed.py", str(place.work / "resumed"), place.of(200, 16))],
            {"resume": place.work / "resumed/told.json"},
        ),
        Part(
            "quickstart",
            200,
            [_edgekd("quickstart", "--out", str(chain), "--set", "train.precision=bf16", *steps)],
            {"bench": chain / "bench.json"},
        ),
    ]


def camvid(place: Place) -> list[Part]:
    """Call 3: the loader's rate by workers; a teacher, the student alone, CWD, and RDD with FAKD, long enough to converge."""
    data = ["--recipe", "camvid", "--data-root", place.camvid] if place.camvid else ["--recipe", "quickstart"]
    weights = ["--weights", f"{place.weights}/lite0.pth"] if place.weights and place.camvid else []
    taught = ["--weights", f"{place.weights}/lite2.pth"] if place.weights and place.camvid else []
    steps = ["--steps", place.of(2000, 4), "--set", "train.val_every=" + place.of(500, 4), "--precision", "32" if place.small else "bf16"]
    folders = {name: place.work / f"camvid-{name}" for name in ("teacher", "alone", "cwd", "best")}
    lent = ["--teacher", str(folders["teacher"])]
    commands = {
        "teacher": ["train", "--part", "teacher", *data, *taught, *steps, "--set", "teacher.steps=" + place.of(2000, 4)],
        "alone": ["train", *data, *weights, *steps],
        "cwd": ["distill", "--method", "cwd", *data, *weights, *lent, *steps],
        "best": ["distill", "--method", "fakd-cwd", *data, *weights, *lent, *steps],
    }
    rates = place.work / "loader.json"
    workers = "0,1" if place.small else "4,8,15"
    return [
        Part(
            "loader",
            60,
            [
                _script(
                    "loaded.py",
                    str(rates),
                    "--workers",
                    workers,
                    "--batches",
                    place.of(60, 3),
                    "--batch",
                    place.of(16, 2),
                    "--images",
                    place.of(16, 2),
                )
            ],
            {"loader": rates},
        ),
        *(
            Part(name, 110, [_script("trained.py", str(folders[name]), *words)], {"run": folders[name] / "told.json"})
            for name, words in commands.items()
        ),
    ]


def latencies(place: Place) -> list[Part]:
    """Call 4: latency, mIoU and energy of one student on what a GPU has to run it."""
    run, results = place.work / "latencies" / "run", place.work / "bench.json"  # its teacher lies beside it
    export = run / "export"
    steps = ["--steps", place.of(800, 4), "--set", "teacher.steps=" + place.of(500, 4)]
    precisions = ["--precision", "fp32,fp16", "--score-images", place.of(64, 2), "--calib-images", "4", "--parity-images", "2"]
    gpu = "torch-cuda,torch-compile-cuda,onnxruntime-cuda"
    measured = ["--backend", "torch,onnxruntime-cpu" if place.small else gpu, "--images", place.of(64, 2)]
    measured += ["--seconds", "3" if not place.small else "0.2", "--results", str(results)]
    measured += [] if place.small else ["--power", "nvml", "--idle-seconds", "3"]
    strict = results.with_name("bench-no-tf32.json")
    without = [*measured[: measured.index("--results")], "--no-tf32", "--results", str(strict)]
    return [
        Part("student", 150, [_script("trained.py", str(run), "distill", *steps)], {"run": run / "told.json"}),
        Part("export", 120, [_edgekd("export", str(run), "--out", str(export), *precisions)], {}),
        Part("bench", 200, [_edgekd("bench", str(run), *measured)], {"bench": results}),
        Part("bench-no-tf32", 120, [_edgekd("bench", str(run), *without)], {"bench": strict}),
        Part("tensorrt", 0, [], {}, "TensorRT's libraries can't be brought to this machine"),
    ]


CALLS: dict[int, Callable[[Place], list[Part]]] = {1: streams_and_steps, 2: training, 3: camvid, 4: latencies}
