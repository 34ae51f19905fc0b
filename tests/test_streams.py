"""Standard streams that are closed, full or read by nobody: every verb, here and on the device, ends with a code and no traceback."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from edgekd.cli import VERBS, main
from edgekd_runtime import cli as device
from tests.report.realistic import realistic
from tests.runtime.models import write_model

ROOT = Path(__file__).parents[1]


def host(words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words], prog_name="edgekd")
    return ended.value.code


def on_device(words):
    return device.main([str(word) for word in words])


@contextmanager
def stdout(kind):
    """A full device, or a pipe whose reader is gone, as after `| head -1`."""
    if kind == "unread":
        reader, writer = os.pipe()
        os.close(reader)
    before = sys.stdout
    stream = sys.stdout = Path("/dev/full").open("w") if kind == "full" else os.fdopen(writer, "w")  # noqa: SIM115
    try:
        yield
    finally:
        sys.stdout = before
        with suppress(OSError):  # click leaves what it could not write in the buffer
            stream.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("streams") / "fp32")


def work(model, folder):
    """What verbs print to stdout when they have done something."""
    (folder / "r.json").write_text(json.dumps({"schema_version": 1, "measurements": [one.to_json() for one in realistic(1)]}))
    return [
        ["data", "layouts"],
        ["recipes"],
        ["methods"],
        ["inspect", model, "--json"],
        ["report", folder / "r.json", "--out", folder / "page.html"],
        ["bundle", model, "--out", folder / "a.pyz"],
    ]


def ends(run, verbs, kind, capfd):
    for words in verbs:
        with stdout(kind):
            code = run(words)
        said = capfd.readouterr().err
        assert code == 1 and "Traceback" not in said, (words, code, said)
        assert ("the output can't be written (No space left on device)" in said) == (kind == "full"), (words, said)


@pytest.mark.parametrize("kind", ["full", "unread"])
def test_hosts_verbs(kind, model, tmp_path, capfd):
    ends(host, [["--help"], *([verb, "--help"] for verb in VERBS), *work(model, tmp_path)], kind, capfd)


@pytest.mark.parametrize("kind", ["full", "unread"])
def test_devices_verbs(kind, model, tmp_path, capfd):
    working = [["check"], ["predict", ROOT / "docs", "--model", model, "--out", tmp_path / "out"]]
    ends(on_device, [["--help"], *([verb, "--help"] for verb in device.VERBS), *working], kind, capfd)


@pytest.mark.parametrize("program", [["edgekd", "--help"], ["edgekd_runtime", "predict", "--help"]], ids=["host", "device"])
def test_closed_streams(program, tmp_path):
    """And no file that is opened later gets their numbers, for libraries to print into."""
    command = f'exec "$0" -m {" ".join(program)}'
    for closed, code, said in ((">&-", 1, "the output can't be written (Bad file descriptor)"), ("<&- 2>&-", 0, ""), (">&- 2>&-", 1, "")):
        done = subprocess.run(["sh", "-c", f"{command} {closed}", sys.executable], capture_output=True, text=True, check=False)
        assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (code, True, False), (closed, done)
        assert bool(done.stdout) == (code == 0)


def test_an_error_of_a_file_is_not_told_as_one_of_the_output(monkeypatch, capfd):
    from edgekd_runtime.streams import end_by

    monkeypatch.setattr(sys, "stdout", None)
    assert end_by(PermissionError(13, "Permission denied", "secret/a.png")) == 1
    assert end_by(ConnectionRefusedError(111, "Connection refused")) == 1
    assert capfd.readouterr().err.splitlines() == ["Error: secret/a.png: Permission denied.", "Error: Connection refused."]


def test_names_of_other_encodings_are_refused(model, tmp_path, capfd):
    odd = os.fsdecode(b"caf\xe9")
    assert on_device(["predict", odd, "--model", model, "--out", tmp_path]) == 2 and host(["inspect", odd]) == 2
    assert capfd.readouterr().err.count(r"'caf\udce9' is a name that is not UTF-8") == 2
    write_model(tmp_path / odd)
    assert on_device(["bench", tmp_path]) == 2 and host(["bundle", tmp_path, "--out", tmp_path / "a.pyz"]) == 2
    assert capfd.readouterr().err.count("is a name that is not UTF-8") == 2 and not (tmp_path / "a.pyz").exists()


def test_more_threads_than_any_cpu_has_use_for_are_refused(model, tmp_path, edgekd):
    for words in (
        ["bench", model, "--no-accuracy", "--backend", "onnxruntime-cpu"],
        ["predict", ROOT / "docs", "--model", model, "--out", tmp_path / "out"],
    ):
        assert "100000 threads are more than the 1024" in edgekd(*words, "--threads", 100_000, code=2).stderr
