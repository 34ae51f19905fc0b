"""The benchmark on the device's side: stages, memory, sweeps, energy, and models that fail."""

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from edgekd_runtime import cases as cases_module
from edgekd_runtime import harness as module
from edgekd_runtime import memory
from edgekd_runtime.artifact import load_artifact
from edgekd_runtime.backends import open_session, usable_backends
from edgekd_runtime.cases import Case, left_out, plan
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.files import sha256, write_image
from edgekd_runtime.harness import bench, bench_cases
from edgekd_runtime.latency import Timing
from edgekd_runtime.memory import peak_memory
from edgekd_runtime.stages import stage_calls
from tests.runtime.models import SIZE, write_model
from tests.runtime.test_power import ORIN_NANO, tool

QUICK = Timing(warmup_s=0.01, settle_s=0, seconds=0.02, iterations=4, rounds=2)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One image at a time, any batch, and a file that is no model."""
    path = tmp_path_factory.mktemp("models")
    files = {name: write_model(path / name, batch) for name, batch in (("static", "one"), ("dynamic", "any"), ("damaged", "one"))}
    files["damaged"].write_bytes(b"no model")
    replace(load_artifact(files["static"]), sha256=sha256(files["damaged"])).save(path / "damaged")
    return files


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)


def test_the_plan_sweeps_what_each_file_can(tmp_path):
    onnx, engine = tmp_path / "model.onnx", tmp_path / "model.engine"
    assert plan([onnx, engine, onnx], ["openvino"], (1, 2), (1, 4)) == [
        Case(file, backend, threads, batch)
        for file, backend in ((onnx, "openvino"), (engine, None))
        for threads in (1, 2)
        for batch in (1, 4)
    ]
    with pytest.raises(UsageError, match="Unknown backend 'tpu'"):
        plan([onnx], ["tpu"])
    with pytest.raises(UsageError, match=r"tensorrt runs \.engine files only, and .*model\.onnx is none.* use onnxruntime-cpu or"):
        plan([onnx], ["openvino", "tensorrt"])  # not left out without a word


def test_without_backends_each_file_runs_on_all_that_are_installed_and_that_it_is_made_for(models, tmp_path, monkeypatch):
    monkeypatch.setattr(cases_module, "installed", lambda: ["onnxruntime-cpu", "openvino", "tensorrt"])
    files = {target: write_model(tmp_path / (target or "all")) for target in ("", "cpu", "tensorrt")}
    for target, file in files.items():
        replace(load_artifact(file), target=target).save(file.parent)
    planned = plan(list(files.values()))
    assert planned == [Case(files[target], backend) for target in ("", "cpu") for backend in ("onnxruntime-cpu", "openvino")]
    (said,) = left_out(list(files.values()), planned)
    assert said.startswith(f"{files['tensorrt']} is left out: it is made for tensorrt")
    assert plan([files["tensorrt"]], ["openvino"]) == [Case(files["tensorrt"], "openvino")]  # asked for, so measured
    monkeypatch.setattr(cases_module, "installed", list)
    assert plan([files[""]]) == [Case(files[""], None)]  # opening it says what to install


@pytest.mark.parametrize(("target", "said"), [("", 0), ("cpu", 0), ("tensorrt", 1)])
def test_a_file_on_a_backend_that_it_is_not_made_for_gets_a_sentence(tmp_path, image, target, said):
    file = write_model(tmp_path)
    replace(load_artifact(file), target=target).save(tmp_path)
    (one,) = bench([file], image, QUICK, backends=["onnxruntime-cpu"])
    told = [sentence for sentence in one.warnings if "form of INT8 is for tensorrt, which onnxruntime-cpu is not" in sentence]
    assert len(told) == said and all("--target cpu" in sentence for sentence in told)


def test_models_that_fail_do_not_stop_the_others(models, image):
    told = []
    cases = [Case(models["damaged"], None), Case(models["static"], "onnxruntime-tensorrt"), Case(models["static"], None, 1)]
    (measured,) = bench_cases(cases, image, QUICK, failed=lambda case, error: told.append((case, error)))
    assert measured.path == str(models["static"]) and measured.latency["network"].count >= 4
    assert [case for case, _ in told] == cases[:2]
    assert "can't load" in str(told[0][1]) and isinstance(told[1][1], MissingError)
    with pytest.raises(EdgeKDError, match="can't load"):
        bench([models["damaged"]], image, QUICK)


def test_a_model_that_fails_while_it_is_timed(models, image, monkeypatch):
    opened = open_session

    def wearing_out(file, backend, threads):
        session = opened(file, backend, threads)
        if threads == 1:
            run, left = session.run, iter(range(5))

            def run_a_little(batch):
                if next(left, None) is None:
                    raise RuntimeError("device lost\nmore of it")
                return run(batch)

            session.run = run_a_little
        return session

    monkeypatch.setattr(module, "open_session", wearing_out)
    told = []
    cases = plan([models["static"]], ["onnxruntime-cpu"], (1, 2))
    (measured,) = bench_cases(cases, image, QUICK, failed=lambda case, error: told.append((case.threads, str(error))))
    assert measured.threads == 2 and told == [(1, f"{models['static']} failed while it ran: device lost")]


def test_stages_do_what_they_say(models, image, tmp_path):
    write_image(tmp_path / "image.png", image)
    with open_session(models["dynamic"]) as session:
        expected = session.predict(image, image.shape[:2])
        for batch in (1, 3):
            calls = stage_calls(session, image, batch, tmp_path / "image.png")
            assert list(calls) == ["decode", "preprocess", "network", "postprocess", "end_to_end"]
            assert len(calls["decode"]()) == batch and np.array_equal(calls["decode"]()[0], image)
            assert np.asarray(calls["preprocess"]()).shape[-3:] == (*SIZE, 3)
            assert len(calls["network"]()) == batch
            whole = calls["end_to_end"]()
            for last in (calls["postprocess"]()[-1], whole if batch == 1 else whole[-1]):
                assert last.shape == image.shape[:2] and (last == expected).mean() > 0.999
        assert "decode" not in stage_calls(session, image, 1, None)


def test_batches_are_swept_where_the_export_allows_it(models, image):
    told = []
    backends = [name for name in ("onnxruntime-cpu", "openvino") if usable_backends()[name][0]]
    cases = plan([models["dynamic"], models["static"]], backends, (1,), (1, 4))
    measured = bench_cases(cases, image, QUICK, failed=lambda case, error: told.append(str(error)))
    assert [one.batch for one in measured] == [1, 4] * len(backends) + [1] * len(backends)
    assert len(told) == len(backends) and all(
        "static/model.onnx does not take 4 images" in said and "--max-batch 4" in said for said in told
    )
    one, four = measured[:2]
    assert four.latency["network"].min_ms > one.latency["network"].min_ms  # a call is of all of its images
    assert four.images_per_second == 4 * four.latency["network"].throughput


def test_memory_is_the_models_own(models):
    """Beside a process that takes 256 MB more: a parent's peak, which getrusage keeps over exec, must not show."""
    ballast = np.ones(256 << 20, np.uint8)
    small = peak_memory(models["static"], None, 1)
    assert 5e6 < small < 200e6 and ballast[0] == 1


def test_memory_grows_with_the_batch(models):
    assert peak_memory(models["dynamic"], None, 1, 4) > peak_memory(models["dynamic"], None, 1, 1)


def test_a_process_that_dies_is_told(models, monkeypatch):
    class Killed:
        returncode, stdout, stderr = -signal.SIGKILL, "", ""

    monkeypatch.setattr(memory, "run_module", lambda *given: Killed)
    with pytest.raises(EdgeKDError, match=r"killed its process \(signal 9\); free some memory"):
        peak_memory(models["static"], None, 1)


def test_energy_is_of_the_frames(models, image, tmp_path, monkeypatch):
    tool(tmp_path / "bin", "tegrastats", f'while true; do echo "{ORIN_NANO}"; sleep 0.03; done')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    begin = time.perf_counter()
    (measured,) = bench_cases([Case(models["static"], None, 1)], image, replace(QUICK, seconds=0.2), power="tegrastats", idle_s=0.3)
    energy = measured.energy["end_to_end"]
    assert time.perf_counter() - begin > 0.3 and set(measured.energy) == {"network", "end_to_end"}
    assert energy.watts == pytest.approx(6.626, rel=0.2) and energy.idle_watts == pytest.approx(6.626, rel=0.2)
    assert abs(energy.joules_per_frame) < 0.5 * 6.626 / measured.latency["end_to_end"].throughput  # nearly all of it was there at rest
    assert set(measured.state) == {"before", "after"}


def test_a_meter_that_dies_midway_takes_no_latency_along(models, image, tmp_path, monkeypatch):
    tool(tmp_path / "bin", "tegrastats", f'for i in 1 2 3; do echo "{ORIN_NANO}"; sleep 0.03; done')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(module, "peak_memory", lambda *case: None)
    (measured,) = bench_cases([Case(models["static"], None, 1)], image, replace(QUICK, seconds=0.2), power="tegrastats")
    assert measured.latency["network"].count >= 4 and measured.energy == {}
    (said,) = [one for one in measured.warnings if "energy" in one]
    assert "its energy is missing: tegrastats did not tell the power (tegrastats ended before" in said
    assert measured.to_json()["energy"] == {}
