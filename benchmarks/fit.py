"""`edgekd fit`: how long it takes, and how close an untrained candidate's latency is to that of a trained student's files.

`python benchmarks/fit.py`: all default candidates in FP32 and INT8, from nothing. `python benchmarks/fit.py RUN/export …`: exported FP32
and INT8 of trained students, each beside the files that `edgekd fit` makes of its recipe, in the same benchmark, whose rounds alternate.
Either writes its part of the results.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.fit.candidate import Candidate
from edgekd.fit.untrained import export_untrained
from edgekd.runs import open_run
from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.cases import Case, plan
from edgekd_runtime.files import write_json
from edgekd_runtime.harness import bench_cases
from edgekd_runtime.latency import Timing
from edgekd_runtime.measurement import describe_device

PRECISIONS = ("fp32", "int8")


def whole_fit(folder: Path, words: list[str]) -> dict[str, Any]:
    """`edgekd fit` of every default candidate: its seconds and its figures."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "edgekd", "fit", *words, "--out", str(folder), "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {"command": " ".join(["edgekd", *command[3:-3]]), "seconds": time.perf_counter() - start, **json.loads(done.stdout)}


def compared(export: Path, folder: Path, repeats: int) -> list[dict[str, Any]]:
    """Of each precision and backend: the untrained file's p50 over the trained one's, repeat by repeat."""
    trained = {name: export / name / "model.onnx" for name in PRECISIONS}
    artifact = load_artifact(trained["fp32"])
    candidate = Candidate(open_run(export.parent).recipe.student, artifact.size)
    made = export_untrained(candidate, len(artifact.classes), folder, PRECISIONS, ("cpu",)).made
    image = np.random.default_rng(0).integers(0, 256, (*artifact.size, 3)).astype(np.uint8)
    failed: list[Case] = []
    cases = plan([file for name in PRECISIONS for file in (*made[name], trained[name])])
    bench_cases(cases, image, Timing(seconds=0.1), network_only=True, failed=lambda case, error: failed.append(case))
    left_out = {(case.file.parent.name, case.backend) for case in failed}
    cases = [case for case in cases if (case.file.parent.name, case.backend) not in left_out]
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(repeats):
        measured = bench_cases(cases, image, Timing(seconds=1.0), network_only=True, memory=False)
        p50 = {(Path(one.path), one.backend): one.latency["network"].p50_ms for one in measured}
        for name, backend in dict.fromkeys((case.file.parent.name, str(case.backend)) for case in cases):
            found.setdefault((name, backend), []).append((p50[made[name][0], backend], p50[trained[name], backend]))
    return [
        {
            "model": artifact.model,
            "size": artifact.size,
            "precision": name,
            "backend": backend,
            "untrained_ms": statistics.median(pair[0] for pair in pairs),
            "trained_ms": statistics.median(pair[1] for pair in pairs),
            "ratio": statistics.median(ratios := sorted(one / other for one, other in pairs)),
            "ratios": ratios,
        }
        for (name, backend), pairs in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exports", type=Path, nargs="*", metavar="RUN/export")
    parser.add_argument("--imgsz", default="360x480")
    parser.add_argument("--num-classes", default="11")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/fit.json"))
    given = parser.parse_args()
    document = json.loads(given.out.read_text()) if given.out.is_file() else {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if given.exports:
            document["untrained_over_trained"] = [
                row for index, one in enumerate(given.exports) for row in compared(one, folder / str(index), given.repeats)
            ]
        else:
            document["fit"] = whole_fit(folder / "fit", ["--imgsz", given.imgsz, "--num-classes", given.num_classes])
    for row in document.get("untrained_over_trained", []):
        print({name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()})
    if "fit" in document:
        print(f"{document['fit']['command']}: {document['fit']['seconds']:.0f} s")
    about = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device(),
        "versions": {name: metadata.version(name) for name in ("torch", "onnxruntime", "openvino", "onnx")},
    }
    write_json(given.out, about | document | about)


if __name__ == "__main__":
    main()
