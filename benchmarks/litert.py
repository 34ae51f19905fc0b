"""LiteRT beside ONNX Runtime: agreement, INT8 and CPU time of one untrained student, alternating in one process, one thread.

python -m benchmarks.litert

It needs an environment of its own with edgekd and ``litert-torch==0.10.0``, which wants another PyTorch than the one that is pinned here.
"""

import json
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import litert_torch
import numpy as np
import onnxruntime
import torch
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

from edgekd.export.deployed import Deployed
from edgekd.export.onnx import write_onnx
from tests.calib.conftest import noise, settled

STUDENT, SIZE, ROUNDS, CALIBRATION = "lraspp-tf_efficientnet_lite0", (120, 160), 60, 8
RESULT = Path(__file__).parent / "results" / "litert.json"


def litert(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    interpreter = Interpreter(str(file), num_threads=1)
    interpreter.allocate_tensors()
    entry, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(entry, image)
        interpreter.invoke()
        return interpreter.get_tensor(result)

    return run


def main() -> None:
    folder, images = Path(tempfile.mkdtemp()), noise(CALIBRATION, SIZE)
    network = settled(STUDENT, SIZE, output_stride=16)
    begin = time.process_time()
    litert_torch.convert(Deployed(network, SIZE, "logits").eval(), (torch.from_numpy(images[0]),)).export(str(folder / "fp32.tflite"))
    conversion = time.process_time() - begin
    calibrated = quantizer.Quantizer(str(folder / "fp32.tflite"))
    calibrated.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = calibrated.calibrate({"serving_default": [{"args_0": image} for image in images]})
    calibrated.quantize(ranges).export_model(str(folder / "int8.tflite"))

    write_onnx(network, SIZE, "logits", folder / "model.onnx", {})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
    calls: dict[str, Callable[[np.ndarray], Any]] = {
        "onnxruntime fp32": lambda image: session.run(None, {session.get_inputs()[0].name: image})[0],
        "litert fp32": litert(folder / "fp32.tflite"),
        "litert int8": litert(folder / "int8.tflite"),
    }
    expected = [calls["onnxruntime fp32"](image) for image in images]
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(ROUNDS):
        for name, call in calls.items():
            begin = time.process_time()
            call(images[turn % len(images)])
            seconds[name].append(time.process_time() - begin)
    base = float(np.median(seconds["onnxruntime fp32"][5:]))
    rows = {}
    for name, call in calls.items():
        found = [call(image) for image in images]
        rows[name] = {
            "equal_pixels": float(np.mean([a.argmax(1) == b.argmax(1) for a, b in zip(found, expected, strict=True)])),
            "cpu_time_over_onnxruntime": float(np.median(seconds[name][5:])) / base,
        }
        if "fp32" in name:
            rows[name]["largest_score_error"] = float(max(abs(a - b).max() for a, b in zip(found, expected, strict=True)))
    packages = ("litert-torch", "ai-edge-litert", "ai-edge-quantizer", "torch", "onnxruntime", "numpy")
    about = {
        "date": date.today().isoformat(),
        "machine": platform.processor() or platform.machine(),
        "student": STUDENT,
        "size": SIZE,
        "threads": 1,
        "conversion_cpu_seconds": round(conversion, 1),
        "bytes": {name: (folder / name).stat().st_size for name in ("fp32.tflite", "int8.tflite", "model.onnx")},
        "versions": {name: version(name) for name in packages},
        "rows": rows,
    }
    RESULT.write_text(json.dumps(about, indent=2) + "\n")
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main()
