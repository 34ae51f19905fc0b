"""`edgekd export`, `calib` and `inspect` on lower precisions: what they print and write, and how they refuse."""

import json
import shutil

import pytest
import yaml

from edgekd_calib.forms import FORMS
from edgekd_calib.graph import load_graph
from edgekd_calib.quantize import quantised_layers
from edgekd_runtime.artifact import load_artifact


@pytest.fixture(scope="module")
def ranked(trained, tmp_path_factory):
    """An INT8 export with the sensitivity of its layers, into the run itself, and what was printed."""
    from click.testing import CliRunner

    from edgekd.cli import main

    run = tmp_path_factory.mktemp("ranked") / "run"
    shutil.copytree(trained[0], run)
    few = ["--calib-images", "2", "--calib-seed", "5", "--score-images", "2", "--parity-images", "1"]
    said = CliRunner().invoke(main, ["export", str(run), "--precision", "int8", "--sensitivity", *few], env={"COLUMNS": "200"})
    assert said.exit_code == 0, said.output
    return run, said.stdout


def test_sensitivity_is_printed_and_kept(ranked):
    run, printed = ranked
    folder = run / "export/int8"
    document = json.loads((folder / "sensitivity.json").read_text())
    assert document["precision"] == "int8" and document["model_sha256"] == load_artifact(folder / "model.onnx").sha256
    assert [layer["snr_db"] for layer in document["layers"]] == sorted(layer["snr_db"] for layer in document["layers"])
    layers = quantised_layers(load_graph(run / "export/fp32/model.onnx").graph, FORMS["cpu"])
    assert {layer["name"] for layer in document["layers"]} == set(layers)
    assert {layer["kept_in"] for layer in document["layers"]} == {"int8"} and len(document["images"]) == 2
    header = printed[: printed.index(document["layers"][0]["name"])]
    assert all(word in header for word in ("layer", "signal to noise, dB", "mIoU lost, points", "kept in")), header


def test_the_table_of_precisions_comes_last(ranked):
    run, printed = ranked
    reduction = load_artifact(run / "export/int8/model.onnx").reduction
    last = {line.split()[0]: line.split()[1:] for line in printed.splitlines()[-4:] if line.split()}
    drop = 100 * (reduction["fp32_miou"] - reduction["miou"])
    size = f"{(run / 'export/int8/model.onnx').stat().st_size / 1e6:.1f}"
    assert last["fp32/model.onnx"][:2] == [f"{100 * reduction['fp32_miou']:.2f}", "–"]
    assert last["int8/model.onnx"][:3] == [f"{100 * reduction['miou']:.2f}", f"{drop:+.2f}", size]


def test_the_seed_of_the_selection_is_written_and_shown(ranked, edgekd):
    run = ranked[0]
    file = run / "export/int8/calibration.json"
    assert json.loads(file.read_text())["seed"] == 5 == load_artifact(file.with_name("model.onnx")).reduction["seed"]
    assert json.loads(edgekd("calib", "show", file, "--json").stdout)["seed"] == 5
    assert "of seed 5" in edgekd("calib", "show", file).stdout
    edgekd("calib", "make", run, "--images", 2, "--seed", 7, "--method", "minmax", "--out", run / "table.json")
    assert json.loads((run / "table.json").read_text())["seed"] == 7


@pytest.fixture(scope="module")
def places(ranked, tmp_path_factory):
    """A run whose training split holds nothing, and tables that do not fit."""
    tmp, run = tmp_path_factory.mktemp("places"), ranked[0]
    shutil.copytree(run, tmp / "bare")
    recipe = yaml.safe_load((tmp / "bare/recipe.yaml").read_text())
    (tmp / "data/images/train").mkdir(parents=True)
    (tmp / "data/masks/train").mkdir(parents=True)
    (tmp / "data/dataset.yaml").write_text("names: [a, b]\n")
    recipe["data"] |= {"layout": "folder", "root": str(tmp / "data"), "options": {}}
    (tmp / "bare/recipe.yaml").write_text(yaml.safe_dump(recipe))
    table = json.loads((run / "export/int8/calibration.json").read_text())
    (tmp / "other.json").write_text(json.dumps(table | {"model_sha256": "0" * 64}))
    (tmp / "old.json").write_text(json.dumps({key: value for key, value in table.items() if key != "seed"} | {"schema_version": 1}))
    return {"run": run, "bare": tmp / "bare", "table": run / "export/int8/calibration.json", "tmp": tmp}


INT8 = ["export", "{run}", "--out", "{tmp}/out", "--precision", "int8", "--parity-images", "1", "--calib-images", "1"]
BAD = {
    "no images asked for": (2, ["calib", "make", "{run}", "--images", "0"], "0 is not in the range x>=1"),
    "no images there": (1, ["calib", "make", "{bare}"], "images/train"),
    "a table of another size": (1, [*INT8, "--calib-table", "{table}", "--imgsz", "32x64"], "was made for another model"),
    "a table of another model": (1, [*INT8, "--calib-table", "{tmp}/other.json"], "other.json was made for another model"),
    "such a table for the sensitivity": (1, ["calib", "sensitivity", "{run}", "--table", "{tmp}/other.json"], "made for another model"),
    "a table without a seed": (1, [*INT8, "--calib-table", "{tmp}/old.json"], "is no calibration table of schema 3"),
    "a table for nothing": (2, ["calib", "sensitivity", "{run}", "--precision", "fp16", "--table", "{table}"], "--table does nothing"),
    "a target that int8-fp16 has no form for": (
        2,
        ["calib", "sensitivity", "{run}", "--precision", "int8-fp16", "--target", "cpu"],
        "--target cpu is none of int8-fp16",
    ),
    "a target for nothing": (2, ["export", "{run}", "--target", "tensorrt"], "--target does nothing without --precision int8"),
    "an unknown target": (2, [*INT8, "--target", "tensorrt,gpu"], "--target has no 'gpu', it takes cpu, tensorrt"),
    "a ranking for nothing": (2, ["export", "{run}", "--sensitivity"], "--sensitivity does nothing without a lower --precision"),
    "a cache for nothing": (
        2,
        ["export", "{run}", "--out", "{tmp}/trt", "--trt", "--family", "tensorrt-rtx", "--timing-cache", "{tmp}/a.timing"],
        "tensorrt-rtx keeps no timing cache",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_one_sentence_and_the_right_code(case, places, edgekd):
    code, arguments, words = BAD[case]
    if "tensorrt-rtx" in arguments:
        pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    said = edgekd(*(argument.format(**places) for argument in arguments), code=code).stderr
    assert words in said and sum(line.startswith("Error:") for line in said.splitlines()) == 1 and "Traceback" not in said
    assert not (places["tmp"] / "out/int8").exists() and not (places["tmp"] / "trt").exists()
