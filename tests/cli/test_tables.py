"""Tables fit a terminal of 80 letters, and words are whole in it."""

from dataclasses import replace

import pytest

from edgekd.measure.benchmark import advice, show
from tests.report.realistic import realistic


def listed(edgekd, monkeypatch, *words):
    monkeypatch.setenv("COLUMNS", "80")
    return edgekd(*words).stdout.splitlines()


@pytest.mark.parametrize("words", [("methods",), ("recipes",)])
def test_lists_fit(edgekd, monkeypatch, words):
    lines = listed(edgekd, monkeypatch, *words)
    assert len(lines) > 30 and max(map(len, lines)) <= 80
    text = " ".join(lines)
    for whole in {"methods": ("label-assisted", "adversarial"), "recipes": ("fakd/pascal_context-deeplabv3plus-mobilenetv2",)}[words[0]]:
        assert whole in text


@pytest.fixture
def measured():
    first, *_ = realistic(1)
    return [
        replace(first, artifact=replace(first.artifact, name=f"my-student {precision}"), backend=backend, batch=1)
        for precision in ("fp32", "int8")
        for backend in ("onnxruntime-cpu", "openvino")
    ]


def test_benchmarks_fit_and_a_backend_that_all_share_is_told_once(measured, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    show(measured)
    several = capsys.readouterr().out
    assert max(map(len, several.splitlines())) <= 80 and "noisy" not in several
    assert several.count("onnxruntime-cpu") == 3 and several.count("my-student") == 4
    show(measured[::2])
    assert capsys.readouterr().out.count("onnxruntime-cpu") == 1  # in the title


def test_noise_is_told_below_the_table_once(measured, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    latency = measured[0].latency["network"]
    measured[0] = replace(
        measured[0], latency={**measured[0].latency, "network": replace(latency, spread=16.32)}, warnings=["noisy: it is", "it is odd"]
    )
    show(measured)
    said = capsys.readouterr().out
    assert f"~{latency.p50_ms:.2f}" in said and "The latencies of 1 of 4 rows are noisy" in said
    assert [sentence.rpartition(": ")[2] for sentence in advice(measured)] == ["it is odd"]
