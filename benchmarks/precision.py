"""What lower precisions of trained runs cost and gain on this CPU, against ONNX Runtime's FP32 of the same run.

python benchmarks/precision.py RUN [RUN ...] [--precision int8] [--out benchmarks/results/precision.json] [--images N]

Each run is exported anew into a temporary folder with the default calibration; all its files and backends are measured in
alternation, and every ratio is to ``fp32 onnxruntime-cpu`` of that same measurement. The mIoU is of the file on that backend.
"""

import argparse
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgekd.data import open_split
from edgekd.export.plan import ExportPlan, export_all
from edgekd.measure.benchmark import bench_models, show
from edgekd.runs import open_run
from edgekd_runtime.artifact import find_models
from edgekd_runtime.files import write_json
from edgekd_runtime.latency import Timing
from edgekd_runtime.measurement import describe_device

BACKENDS = ("onnxruntime-cpu", "openvino")


def rows_of(run: Path, precisions: tuple[str, ...], images: int | None) -> list[dict[str, Any]]:
    recipe = open_run(run).recipe
    layouts = open_split(recipe, recipe.data.train), open_split(recipe)
    with tempfile.TemporaryDirectory() as folder:
        exported = export_all(run, recipe, layouts, Path(folder), ExportPlan(precisions, score_images=images))
        measured = bench_models(find_models(Path(folder)), Timing(), backends=BACKENDS, limit=images)
    show(measured)
    floor = next(one for one in measured if one.artifact.precision == "fp32" and one.backend == BACKENDS[0])
    kept = {one.artifact.precision: len(one.artifact.reduction.get("kept", {})) for one in exported}
    return [
        {
            "run": run.name,
            "model": one.artifact.model,
            "size": one.artifact.size,
            "precision": one.artifact.precision,
            "backend": f"{one.backend} {one.backend_version}",
            "p50_ms": one.latency["network"].p50_ms,
            "times_faster": floor.latency["network"].p50_ms / one.latency["network"].p50_ms,
            "miou": one.accuracy.miou if one.accuracy else None,
            "miou_lost": floor.accuracy.miou - one.accuracy.miou if one.accuracy and floor.accuracy else None,
            "images": one.images,
            "kept_in_fp32": kept[one.artifact.precision],
            "mb": one.size_bytes / 1e6,
        }
        for one in measured
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--out", default="benchmarks/results/precision.json")
    parser.add_argument("--images", type=int, help="validation images; all where absent")
    arguments = parser.parse_args()
    rows = [row for run in arguments.runs for row in rows_of(run, tuple(arguments.precision.split(",")), arguments.images)]
    document = {"date": datetime.now(timezone.utc).isoformat(timespec="seconds"), "device": describe_device(), "rows": rows}
    write_json(Path(arguments.out), document)


if __name__ == "__main__":
    main()
