"""What to ship: the fastest within the accuracy budget, over files and backends; or why it can't be told."""

from dataclasses import replace

import pytest

from edgekd_runtime.decision import decisions
from tests.report.realistic import realistic


@pytest.fixture(scope="module")
def one():
    return realistic(1)[0]


@pytest.fixture
def made(one):
    def make(precision, backend, p50, miou, spread=0.02, drift=0.0, run="student"):
        latency = {"network": replace(one.latency["network"], p50_ms=p50, spread=spread, drift=drift)}
        artifact = replace(one.artifact, name=f"{run} {precision}", precision=precision.partition("-trt")[0])
        accuracy = replace(one.accuracy, miou=miou) if miou else None
        path = f"runs/{run}/export/{precision}/model.onnx"
        return replace(one, artifact=artifact, backend=backend, latency=latency, accuracy=accuracy, path=path, batch=1, threads=0)

    return make


def test_the_fastest_file_and_backend_within_the_budget_is_named(made):
    measured = [
        made("fp32", "onnxruntime-cpu", 20.0, 0.575),
        made("fp32", "openvino", 25.0, 0.575),
        made("int8", "onnxruntime-cpu", 10.0, 0.571),
        made("int8", "openvino", 12.0, 0.571),
    ]
    (said,) = decisions(measured)
    assert said == (
        "Ship runs/student/export/int8/model.onnx on onnxruntime-cpu: 10.00 ms, 2.00 times as fast as student fp32 on onnxruntime-cpu, "
        "mIoU 57.10, 0.40 below the most accurate file's."
    )
    (said,) = decisions(measured, miou_drop=0.3)
    assert said.startswith("Ship runs/student/export/fp32/model.onnx on onnxruntime-cpu: 20.00 ms, mIoU 57.50.")
    assert said.endswith("INT8 (10.00 ms on onnxruntime-cpu) loses more than 0.3 points of mIoU.")


def test_slower_int8_is_said_plainly(made):
    (said,) = decisions([made("fp32", "onnxruntime-cpu", 20.0, 0.5), made("int8-trt-source", "onnxruntime-cpu", 40.0, 0.5)])
    assert said.startswith("Ship runs/student/export/fp32/") and said.endswith(
        "INT8 is slower than FP32 here: 40.00 ms on onnxruntime-cpu."
    )


@pytest.mark.parametrize("noise", [{"spread": 0.4}, {"drift": -0.2}])
def test_noise_that_leaves_it_open_is_said_instead(made, noise):
    near = [made("fp32", "onnxruntime-cpu", 20.0, 0.5), made("int8", "onnxruntime-cpu", 18.0, 0.5, **noise)]
    (said,) = decisions(near)
    assert said.startswith("Too noisy to tell what to ship: student int8 on onnxruntime-cpu (18.00 ms) or student fp32 on onnxruntime-cpu")
    far = [made("fp32", "onnxruntime-cpu", 20.0, 0.5), made("int8", "onnxruntime-cpu", 8.0, 0.5, **noise)]
    (said,) = decisions(far)
    assert said.startswith("Ship runs/student/export/int8/") and "times as fast" not in said  # which is faster is clear, by how much is not


def test_models_are_not_weighed_against_each_other(made):
    teacher = [made("fp32", backend, 80.0, 0.7, run="teacher") for backend in ("onnxruntime-cpu", "openvino")]
    student = [made("fp32", "onnxruntime-cpu", 20.0, None), made("int8", "onnxruntime-cpu", 10.0, None)]
    first, second = decisions([*teacher, *student])
    assert first.startswith("Ship runs/teacher/") and second.startswith("Ship runs/student/export/int8/")
    assert second.endswith("; its accuracy was not measured.")
    assert decisions([student[0]]) == []  # nothing to choose from
