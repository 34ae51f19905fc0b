"""INT8 on this CPU: the file that `edgekd export` writes beside FP32, TensorRT's form, plain `onnxruntime.quantization`, and NNCF.

python benchmarks/int8.py RUN/export [--nncf PYTHON] [--threads 1 2] [--rounds 15] [--images N] [--out benchmarks/results/int8.json]

One run of one process, on an export of `--precision int8 --target cpu,tensorrt`. The other ways are made of its FP32 file and the same
calibration images. What is timed is a call of the network, on ONNX Runtime and on OpenVINO, in rounds that alternate between all of them;
a ratio is the median over the rounds of the ratio to FP32 in ONNX Runtime of the same round, in CPU time of the process over all threads
(other work on the machine does not count in it) and by the clock. The mIoU is each file's own on the backend. `--nncf` is a Python that
has nncf, openvino and numpy, in an environment of its own.

Ways: `fp32`; `fp32-broadcast`, as it was exported before its normalisation's constants were as wide as the image; `int8`, for CPUs;
`int8-stem`, the same with the image entering the first convolution as the integers that it is; `int8-trt`, TensorRT's form;
`ort-static`, `quantize_static` with its defaults (QDQ, int8 activations, min-max, per tensor) after its own pre-processing, as its
documentation says; `ort-u8s8`, the same with unsigned activations, per channel and 7 bits; `nncf`, its post-training quantisation with
default settings, in OpenVINO's own format.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from stem import integer_stem

from edgekd.export.calibration import CalibrationSet, calibration_set
from edgekd.measure.score import artifact_layout
from edgekd_calib.graph import constants, load_graph
from edgekd_runtime.accuracy import score
from edgekd_runtime.artifact import Artifact, load_artifact
from edgekd_runtime.backends.base import Session
from edgekd_runtime.backends.onnxruntime import OnnxRuntimeSession
from edgekd_runtime.backends.openvino import OpenVINOSession
from edgekd_runtime.files import write_json
from edgekd_runtime.measurement import describe_device

NNCF = """
import sys, numpy as np, nncf, openvino as ov
source, images, out = sys.argv[1:]
model = ov.Core().read_model(source)
data = nncf.Dataset(list(np.load(images)), lambda image: image[None])
ov.save_model(nncf.quantize(model, data, subset_size=len(np.load(images))), out, compress_to_fp16=False)
print(nncf.__version__)
"""
OPEN: dict[str, Callable[[Path, Artifact, int], Session]] = {
    "onnxruntime-cpu": partial(OnnxRuntimeSession, provider="CPUExecutionProvider", backend="onnxruntime-cpu"),
    "openvino": OpenVINOSession,
}
FLOOR = ("fp32", "onnxruntime-cpu")
SETTLE_S = 0.15
"""Of calls that are not counted: the library that ran before may still spin its threads."""


class Reader:
    """ONNX Runtime's way of being shown images."""

    def __init__(self, images: CalibrationSet) -> None:
        self.left = [{"image": image} for image in images.images]

    def get_next(self) -> dict[str, Any] | None:
        return self.left.pop() if self.left else None


def broadcast(model: Any) -> Any:
    """FP32 as it was: the normalisation's constants one value a channel."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for item in copy.graph.initializer:
        values = constants(copy.graph)[item.name]
        if values.ndim == 4 and values.shape[:2] == (1, 1) and values.shape[3] == 3:
            item.CopyFrom(onnx.numpy_helper.from_array(values[0, 0, 0], item.name))
    return copy


def made(export: Path, images: CalibrationSet, folder: Path, nncf: str | None) -> dict[str, Path]:
    """Every way as a file; those of edgekd are the exported ones."""
    own = {"fp32": "fp32", "int8": "int8", "int8-trt": "int8-trt-source"}
    files = {name: export / place / "model.onnx" for name, place in own.items()}
    source, model = files["fp32"], load_graph(files["fp32"])
    for name, graph in (("fp32-broadcast", broadcast(model)), ("int8-stem", integer_stem(model, load_graph(files["int8"])))):
        files[name] = folder / f"{name}.onnx"
        onnx.save(graph, files[name])
    prepared = folder / "prepared.onnx"
    quant_pre_process(str(source), str(prepared))
    unsigned = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8, "per_channel": True, "reduce_range": True}
    for name, options in (("ort-static", {}), ("ort-u8s8", unsigned)):
        files[name] = folder / f"{name}.onnx"
        quantize_static(str(prepared), str(files[name]), Reader(images), **options)
    if nncf:
        np.save(folder / "images.npy", np.concatenate(images.images))
        files["nncf"] = folder / "nncf.xml"
        words = [nncf, "-c", NNCF, str(source), str(folder / "images.npy"), str(files["nncf"])]
        print("nncf", subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return files


def size_of(file: Path) -> int:
    """Weights included."""
    return sum(one.stat().st_size for one in {file, file.with_suffix(".bin")} if one.is_file())


def timed(sessions: dict[tuple[str, str], Session], image: np.ndarray, rounds: int) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """(CPU, wall) milliseconds of each, a pair a round; a round of one is the median of a few calls."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in sessions}
    for number in range(rounds):
        for key in sorted(sessions, reverse=number % 2 == 1):
            session = sessions[key]
            settled = time.perf_counter() + SETTLE_S
            while time.perf_counter() < settled:
                session.run(image)
            times = []
            for _ in range(5):
                start = time.process_time(), time.perf_counter()
                session.run(image)
                times.append((1e3 * (time.process_time() - start[0]), 1e3 * (time.perf_counter() - start[1])))
            found[key].append((statistics.median(each[0] for each in times), statistics.median(each[1] for each in times)))
    return found


def quartiles(values: list[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered[len(ordered) // 4], statistics.median(ordered), ordered[-1 - len(ordered) // 4]]


def rows_of(files: dict[str, Path], artifact: Artifact, image: np.ndarray, threads: int, rounds: int) -> list[dict[str, Any]]:
    sessions = {
        (way, backend): OPEN[backend](file, artifact, threads)
        for way, file in files.items()
        for backend in OPEN
        if not (file.suffix == ".xml" and backend != "openvino")
    }
    times = timed(sessions, image, rounds)
    floor = times[FLOOR]
    rows = []
    for (way, backend), pairs in times.items():
        cpu, wall = (quartiles([base[index] / pair[index] for base, pair in zip(floor, pairs, strict=True)]) for index in range(2))
        rows.append(
            {
                "way": way,
                "backend": f"{backend} {sessions[way, backend].version}",
                "threads": threads,
                "cpu_ms": statistics.median(pair[0] for pair in pairs),
                "wall_ms": statistics.median(pair[1] for pair in pairs),
                "times_faster_cpu": cpu[1],
                "times_faster_wall": wall[1],
                "quartiles_cpu": cpu[::2],
                "mb": size_of(files[way]) / 1e6,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--calib-images", type=int, default=64, help="training images, as the export had them")
    parser.add_argument("--nncf", help="a Python with nncf and openvino")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, help="validation images to score on; all where absent, none with 0")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/int8.json"))
    given = parser.parse_args()
    artifact = load_artifact(given.export / "fp32" / "model.onnx")
    images = calibration_set(artifact_layout(artifact, "train"), given.calib_images, artifact.size)
    with tempfile.TemporaryDirectory() as folder:
        files = made(given.export, images, Path(folder), given.nncf)
        rows = [row for threads in given.threads for row in rows_of(files, artifact, images.images[0], threads, given.rounds)]
        scores = scored(files, artifact, artifact_layout(artifact), given.images)
    for row in rows:
        row.update(scores.get((row["way"], row["backend"].split()[0]), {}))
        print({name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}, flush=True)
    versions = {name: metadata.version(name) for name in ("onnxruntime", "openvino", "onnx")}
    document = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": describe_device(),
        "flags": sorted(set(Path("/proc/cpuinfo").read_text().split()) & {"avx2", "avx512f", "avx512_vnni", "avx_vnni", "asimddp"}),
        "versions": versions,
        "model": artifact.model,
        "size": artifact.size,
        "rounds": given.rounds,
        "rows": rows,
    }
    write_json(given.out, document)


def scored(files: dict[str, Path], artifact: Artifact, layout: Any, images: int | None) -> dict[tuple[str, str], dict[str, float]]:
    """MIoU of each file on each backend, and the share of pixels that have the class that FP32 gives in ONNX Runtime."""
    indices = layout.spread(images) if images != 0 else []
    found = {}
    expected: list[np.ndarray] = []
    for way, file in sorted(files.items(), key=lambda item: item[0] != FLOOR[0]):
        for backend, opened in OPEN.items():
            if not indices or (file.suffix == ".xml" and backend != "openvino"):
                continue
            session, same = opened(file, artifact, 2), []

            def predict(image: np.ndarray, size: tuple[int, int], session: Session = session, same: list[float] = same) -> np.ndarray:
                classes = session.predict(image, size)
                if len(expected) < len(indices):
                    expected.append(classes)
                same.append(float((classes == expected[len(same)]).mean()))
                return classes

            accuracy = score(predict, (layout.read(index) for index in indices), len(artifact.classes))
            found[way, backend] = {"miou": accuracy.miou, "equal_pixels": statistics.fmean(same), "images": len(indices)}
    return found


if __name__ == "__main__":
    main()
