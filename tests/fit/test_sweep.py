"""What is measured is kept: after a stop, beside a damaged file, and until something changes that the figures depend on."""

from dataclasses import replace

import pytest

from edgekd.config import ModelRecipe
from edgekd.fit import sweep
from edgekd.fit.candidate import Candidate, Capacity
from edgekd.fit.records import Records
from edgekd.fit.sweep import Fit, Plan
from edgekd.fit.untrained import Files
from edgekd_runtime.errors import EdgeKDError, MissingError
from tests.report.realistic import realistic

NAMES = ("fast-scnn", "pidnet-s", "bisenetv2")
FOUND = [Candidate(ModelRecipe(name=name), (64, 96)) for name in NAMES]
PLAN = Plan(precisions=("fp32", "int8"))


@pytest.fixture
def calls(monkeypatch):
    """Nothing is exported or timed: a file's latency follows from its name and the call's number; the calls so far."""
    made: list[tuple[str, str]] = []
    (one,) = realistic(1)

    def export(candidate, num_classes, folder, precisions, targets):
        return Files({name: [folder / name / "model.onnx"] for name in precisions})

    def bench(cases, image, timing, *, memory=True, failed, **options):
        result = []
        for case in cases:
            file = case.file
            made.append((file.parent.parent.name.rpartition("-64x96")[0], file.parent.name))
            latency = {"network": replace(one.latency["network"], p50_ms=float(len(made[-1][0])))}
            artifact = replace(one.artifact, precision=file.parent.name, target="")
            peak = 1 << 20 if memory else None
            result.append(replace(one, artifact=artifact, latency=latency, path=str(file), accuracy=None, peak_memory_bytes=peak))
        return result

    monkeypatch.setattr(sweep, "export_untrained", export)
    monkeypatch.setattr(sweep, "bench_cases", bench)
    monkeypatch.setattr(sweep, "plan", lambda files, backends, threads: [sweep.Case(file, None) for file in files])
    monkeypatch.setattr(sweep, "load_artifact", lambda file: replace(one.artifact, size=(64, 96)))
    return made


def fit(folder, plan=PLAN, **conditions):
    return Fit(FOUND, [Capacity(1.0, 1.0, None)] * 3, plan, Records(folder, 19, conditions)).run()


def test_all_are_measured_twice_the_second_time_backwards(tmp_path, calls):
    tried = fit(tmp_path)
    assert calls == [(name, precision) for name in (*NAMES, *NAMES[::-1]) for precision in ("fp32", "int8")]
    assert [form.p50s for one in tried for form in one.forms] == [(float(len(name)),) * 2 for name in NAMES for _ in range(2)]
    assert not (tmp_path / "models").exists()
    assert fit(tmp_path) == tried and len(calls) == 12


@pytest.mark.parametrize("stopped", range(6))
def test_after_a_stop_the_same_command_goes_on(tmp_path, calls, monkeypatch, stopped):
    whole = fit(tmp_path / "whole")
    calls.clear()
    bench = sweep.bench_cases

    def stop(cases, image, timing, **options):
        if len(calls) == 2 * stopped:
            raise KeyboardInterrupt
        return bench(cases, image, timing, **options)

    monkeypatch.setattr(sweep, "bench_cases", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "stopped")
    monkeypatch.setattr(sweep, "bench_cases", bench)
    assert fit(tmp_path / "stopped") == whole
    assert len(calls) == 12  # nothing was measured twice


def test_a_damaged_file_is_measured_again(tmp_path, calls, capsys):
    whole = fit(tmp_path)
    files = sorted((tmp_path / "measured").glob("pidnet-s-*-int8-*.json"))
    assert len(files) == 2
    for file, content in zip(files, (b"{", b'{"schema_version": 1, "measurements": [{}]}'), strict=True):
        calls.clear()
        file.write_bytes(content)
        assert fit(tmp_path) == whole and calls == [("pidnet-s", "int8")]
        assert f"{file} is damaged" in capsys.readouterr().err


def test_what_the_figures_depend_on_is_measured_anew(tmp_path, calls):
    for done, conditions in enumerate([{}, {"threads": 2}, {"machine": {"name": "other"}}, {"usable": {"openvino": "2027.0"}}], 1):
        fit(tmp_path, **conditions)
        assert len(calls) == 12 * done
    fit(tmp_path, replace(PLAN, precisions=("fp32",)))
    fit(tmp_path, threads=2)
    assert len(calls) == 48
    fit(tmp_path, replace(PLAN, precisions=("fp32", "fp16")))
    assert calls[48:] == [(name, "fp16") for name in (*NAMES, *NAMES[::-1])]


def test_what_fails_is_told_and_ends_nothing(tmp_path, calls, monkeypatch, capsys):
    bench = sweep.bench_cases

    def fails(cases, image, timing, *, failed, **options):
        left = [case for case in cases if not (case.file.parent.name == "int8" and "pidnet" in str(case.file))]
        if len(left) < len(cases):
            failed(cases[-1], EdgeKDError("its kernels are missing."))
        return bench(left, image, timing, failed=failed, **options)

    monkeypatch.setattr(sweep, "bench_cases", fails)
    tried = fit(tmp_path)
    assert tried[1].failures == {"int8": "its kernels are missing."} and not tried[0].failures
    assert [form.precision for form in tried[1].forms] == ["fp32"] and len(calls) == 10
    assert "pidnet-s int8 is left out: its kernels are missing." in capsys.readouterr().err
    monkeypatch.setattr(sweep, "bench_cases", bench)  # mended: tried again by the same command
    assert not fit(tmp_path)[1].failures and calls[10:] == [("pidnet-s", "int8")] * 2


def test_what_crashes_on_a_backend_is_not_opened_on_it_again(tmp_path, calls, monkeypatch):
    both = [("fp32", "onnxruntime-cpu"), ("fp32", "openvino"), ("int8", "onnxruntime-cpu"), ("int8", "openvino")]
    bench, opened = sweep.bench_cases, []

    def crashes(cases, image, timing, *, memory, failed, **options):
        opened.append((memory, [(case.file.parent.name, case.backend) for case in cases]))
        left = [case for case in cases if (case.file.parent.name, case.backend) != ("int8", "openvino")]
        if len(left) < len(cases):
            failed(cases[-1], EdgeKDError("it killed its process (signal 11)."))
        measured = bench(left, image, timing, memory=memory, failed=failed, **options)
        return [replace(one, backend=case.backend) for one, case in zip(measured, left, strict=True)]

    monkeypatch.setattr(sweep, "bench_cases", crashes)
    monkeypatch.setattr(
        sweep, "plan", lambda files, *how: [sweep.Case(file, name) for file in files for name in ("onnxruntime-cpu", "openvino")]
    )
    tried = fit(tmp_path)
    assert opened == [(True, both)] * 3 + [(False, both[:3])] * 3
    assert [(form.precision, form.backend, form.memory_mib) for form in tried[0].forms] == [(*pair, 1.0) for pair in both[:3]]


def test_a_device_that_is_gone_ends_the_run_and_keeps_what_was_measured(tmp_path, calls, monkeypatch):
    bench = sweep.bench_cases

    def there(url, files, options):
        if len(calls) >= 4:
            raise MissingError("Can't reach jetson: it does not answer; check that it is on and in reach.")
        return bench([sweep.Case(file, None) for file in files], None, None, failed=None), []

    monkeypatch.setattr(sweep, "bench_on_device", there)
    with pytest.raises(MissingError, match="Can't reach jetson"):
        fit(tmp_path, replace(PLAN, device="ssh://jetson"))
    assert len(list((tmp_path / "measured").iterdir())) == 4
