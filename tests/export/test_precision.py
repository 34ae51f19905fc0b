"""Lower precisions of a trained run: measured, within their budget or not written, and built by TensorRT for RTX."""

import json
from dataclasses import replace

import pytest

from edgekd.export import reduce
from edgekd.export.calibration import calibrate, calibration_set
from edgekd.export.judge import Budget, Judge
from edgekd.export.plan import Calibration, ExportPlan, export_all
from edgekd.export.precision import Wanted
from edgekd.export.reduce import reduce_model
from edgekd_calib.forms import FORMS
from edgekd_calib.graph import load_graph
from edgekd_calib.quantize import kept_by_design, quantised_layers
from edgekd_calib.summary import summarise
from edgekd_calib.table import load_table
from edgekd_runtime.accuracy import score
from edgekd_runtime.artifact import find_models, load_artifact
from edgekd_runtime.backends import open_session
from edgekd_runtime.errors import EdgeKDError, GateError
from edgekd_runtime.trt.build import BuildOptions
from edgekd_runtime.trt.engine import write_engine

TARGETS = {"int8": "cpu"} | dict.fromkeys(("int8-trt-source", "int8-trt", "int8-fp16", "int8-fp16-trt"), "tensorrt")
INT8 = Wanted("int8", "cpu")
PLAN = ExportPlan(parity_images=2, calibration=Calibration(images=4, method="minmax"))


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    run, recipe, layouts = trained
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)")
    out = tmp_path_factory.mktemp("export")
    plan = replace(PLAN, precisions=("fp32", "fp16", "int8", "int8-fp16"), engine=BuildOptions(), family="tensorrt-rtx")
    return out, export_all(run, recipe, layouts, out, plan)


@pytest.fixture(scope="module")
def judge(trained, exported):
    layouts = trained[2]
    source = exported[0] / "fp32/model.onnx"
    return Judge(source, calibration_set(layouts[0], 4, load_artifact(source).size), layouts[1])


def test_every_precision_has_a_folder_a_sidecar_and_an_engine(exported):
    out, found = exported
    folders = ["fp32", "fp16", "int8", "int8-trt-source", "int8-fp16", "fp32-trt", "fp16-trt", "int8-trt", "int8-fp16-trt"]
    assert [str(one.file.parent.relative_to(out)) for one in found] == folders
    assert find_models(out) == sorted(one.file for one in found)
    for one in found:
        assert load_artifact(one.file) == one.artifact
        assert one.artifact.precision == one.file.parent.name.removesuffix("-source").removesuffix("-trt")
        assert one.artifact.target == TARGETS.get(one.file.parent.name, "")
        assert bool(one.artifact.engine) == (one.file.suffix == ".engine")
    layers = {one.file.parent.name: summarise(one.file) for one in found if one.file.suffix == ".onnx"}
    assert set(layers["fp16"].precisions) == {"fp16"}
    for form in ("int8", "int8-trt-source"):
        assert layers[form].precisions["fp32"] == len(kept_by_design(load_graph(out / "fp32/model.onnx").graph))
        assert layers[form].quantised > 0.9 > layers["fp32"].quantised == 0
    assert (out / "int8/calibration.json").read_bytes() == (out / "int8-trt-source/calibration.json").read_bytes()


def test_the_form_for_cpus_is_not_built(exported):
    with pytest.raises(EdgeKDError, match=r"int8/model\.onnx is INT8 in the form for CPUs.*--target tensorrt"):
        write_engine(exported[0] / "int8/model.onnx", exported[0] / "none", "tensorrt-rtx", BuildOptions())
    assert not (exported[0] / "none").exists()


@pytest.mark.parametrize(("precision", "backend"), [("fp16", "onnxruntime-cpu"), ("int8", "onnxruntime-cpu"), ("int8", "openvino")])
def test_the_measured_miou_is_the_files(trained, exported, precision, backend):
    """The sidecar's figure against the runtime's own scoring of the file, 7-bit weights, so that no kernel saturates."""
    layout = trained[2][1]
    artifact = load_artifact(exported[0] / precision / "model.onnx")
    with open_session(exported[0] / precision / "model.onnx", backend) as session:
        given = score(session.predict, (layout.read(index) for index in range(len(layout))), len(layout.classes))
    assert given.miou == pytest.approx(artifact.reduction["miou"], abs=0.02)
    assert artifact.reduction["images"] == len(layout)
    if precision == "int8":
        assert artifact.reduction["weight_bits"] == 7 and len(artifact.reduction["calibration_images"]) == 4


def test_a_table_is_reused_and_refused_for_another_export(trained, exported, tmp_path):
    run, recipe, layouts = trained
    table = load_table(exported[0] / "int8/calibration.json")
    assert table.method == "minmax" and len(table.images) == 4
    again = replace(PLAN, precisions=("int8",), calibration=Calibration(images=4, table=exported[0] / "int8/calibration.json"))
    export_all(run, recipe, layouts, tmp_path / "again", again)
    assert (tmp_path / "again/int8/model.onnx").read_bytes() == (exported[0] / "int8/model.onnx").read_bytes()
    with pytest.raises(EdgeKDError, match=r"calibration\.json was made for another model"):
        export_all(run, recipe, layouts, tmp_path / "other", replace(again, size=(64, 64)))


def test_the_layer_that_hurts_is_kept(judge, tmp_path):
    model = load_graph(judge.source)
    table = calibrate(judge.source, judge.images, "minmax")
    bad = quantised_layers(model.graph, FORMS["cpu"])[0]
    entry = next(node for node in model.graph.node if node.name == bad).input[0]
    table.ranges[entry] = tuple(bound / 200 for bound in table.ranges[entry])
    free = reduce_model(judge, INT8, tmp_path / "free", budget=Budget(), table=table)
    lost = 100 * (free.quality.fp32_miou - free.quality.miou)
    assert not free.sensitivity and bad not in free.kept
    if lost <= 0.2:
        pytest.fail(f"the fault costs only {lost:.2f} points, so the test shows nothing")
    held = reduce_model(judge, INT8, tmp_path / "held", budget=Budget(miou_drop=lost / 2), table=table)
    assert held.sensitivity[0].layer.name == bad and "dB alone" in held.kept[bad]
    assert 100 * (held.quality.fp32_miou - held.quality.miou) <= lost / 2
    assert load_artifact(tmp_path / "held/model.onnx").reduction["kept"] == held.kept


def test_an_impossible_budget_writes_nothing(judge, tmp_path):
    table = calibrate(judge.source, judge.images, "minmax")
    with pytest.raises(GateError, match=r"model\.onnx was not written: no mix meets the budget .*--max-miou-drop"):
        reduce_model(judge, INT8, tmp_path / "int8", budget=Budget(miou_drop=-100.0), table=table)
    assert not (tmp_path / "int8").exists()


def test_fp16_keeps_what_leaves_its_range_and_says_so(judge, tmp_path, monkeypatch):
    monkeypatch.setitem(reduce.LARGEST, "fp16", 3.0)
    found = reduce_model(judge, Wanted("fp16", ""), tmp_path / "fp16", budget=Budget())
    assert found.kept and all("beyond fp16" in reason for reason in found.kept.values())
    precisions = summarise(tmp_path / "fp16/model.onnx").precisions
    assert precisions["fp32"] > 0 and precisions["fp16"] > 0


def test_bf16_is_measured_by_emulation(judge, tmp_path):
    found = reduce_model(judge, Wanted("bf16", ""), tmp_path / "bf16", budget=Budget(agreement=0.5))
    assert summarise(tmp_path / "bf16/model.onnx").precisions == {"bf16": len(summarise(judge.source).layers)}
    assert 0.5 < found.quality.agreement < 1


def test_only_an_fp32_export_is_calibrated(exported, judge):
    with pytest.raises(EdgeKDError, match="is fp16 already"):
        calibrate(exported[0] / "fp16/model.onnx", judge.images, "minmax")


def test_calibration_needs_images(trained):
    class Empty:
        def __len__(self):
            return 0

    with pytest.raises(EdgeKDError, match="calibration split has no images"):
        calibration_set(Empty(), 4, (48, 64))


def test_calibration_images_are_at_the_networks_size(trained):
    layout = trained[2][0]
    found = calibration_set(layout, 5, (32, 40))
    assert {image.shape for image in found.images} == {(1, 32, 40, 3)} and {label.shape for label in found.labels} == {(32, 40)}
    assert len(found.hashes) == 5 and json.dumps(found.hashes)
