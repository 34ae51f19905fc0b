"""`edgekd fit` on another machine, against a real sshd."""

import json

from edgekd.fit import sweep
from edgekd.fit.untrained import Files

QUICK = ("--candidate", "fast-scnn", "--imgsz", "64x64", "--precision", "fp32", "--seconds", 0.2)


def test_a_device_is_asked_measured_and_remembered(device, exported, tmp_path, edgekd, monkeypatch):
    monkeypatch.setattr(sweep, "SWEEPS", 1)
    monkeypatch.setattr(sweep, "export_untrained", lambda *given: Files({"fp32": [exported / "fp32/model.onnx"]}))
    there = ("--device", "ssh://device", "--out", tmp_path / "fit", "--backend", "onnxruntime-cpu")
    said = edgekd("fit", *QUICK, *there, "--max-latency-ms", 1e4)
    assert "ssh://device, 64x64, onnxruntime-cpu" in said.stdout and "1/1 fast-scnn" in said.stderr
    (form,) = json.loads((tmp_path / "fit/fit.json").read_text())["candidates"][0]["forms"]
    assert form["p50_ms"] > 0 and form["memory_mib"] > 0 and form["fits"]
    device.client("stranger")
    assert "Can't reach device: it rejects the key" in edgekd("fit", *QUICK, *there, code=3).stderr
    device.client("user")
    again = edgekd("fit", *QUICK, *there, "--json")
    assert "1/1" not in again.stderr and json.loads(again.stdout)["best"] == "fast-scnn"
