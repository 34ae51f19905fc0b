"""The recorded CamVid table is of the recipes that ship, and its page is what the records give."""

import importlib
import re
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[2] / "benchmarks" / "camvid"
DATA = ("CAMVID", "student.pth", "teacher.pth")
SCALES = sorted(folder.name for folder in (HERE / "results").iterdir())


@pytest.fixture(scope="module")
def scripts():
    sys.path.insert(0, str(HERE))
    yield {name: importlib.import_module(name) for name in ("jobs", "run", "page")}
    sys.path.remove(str(HERE))
    for name in ("jobs", "run", "page"):
        del sys.modules[name]


def jobs(scripts, out: Path, scale="cpu"):
    rows = [
        row
        for group in ("TEACHERS", "STUDENTS", "OPTIONS", "STUDIES", "TUNED", "REASONS", "FEW_TEACHERS", "FEW_LABELS")
        for row in getattr(scripts["jobs"], group)
    ]
    return [scripts["jobs"].Job(row, seed, HERE / f"{scale}.yaml", out) for row in rows for seed in range(row.seeds)]


def test_every_job_is_a_command_that_the_project_understands(scripts, tmp_path, monkeypatch):
    from edgekd import pipeline
    from edgekd.cli import main

    recipes = []
    monkeypatch.setattr(pipeline, "train", lambda recipe, *_, **__: recipes.append(recipe))
    monkeypatch.setattr(pipeline, "distill", lambda recipe, *_, **__: recipes.append(recipe))
    for job in jobs(scripts, tmp_path):
        main(job.command(scripts["jobs"].Data(*DATA)), standalone_mode=False)
    teachers = scripts["jobs"].TEACHERS + scripts["jobs"].FEW_TEACHERS
    students = [recipe for recipe in recipes if recipe.objective != "label-assisted" and recipe.student.weights == "student.pth"]
    assert len(students) == len(recipes) - len(teachers)
    assert len({recipe.student.model_dump_json() for recipe in students}) == 1
    assert len({recipe.model_copy(update={"teacher": None}).model_dump_json() for recipe in students}) > 20


@pytest.mark.parametrize("scale", SCALES)
def test_what_is_recorded_is_of_the_recipe_that_ships(scale, scripts):
    known = {job.name: scripts["run"].digest(job) for job in jobs(scripts, Path("runs"), scale)}
    recorded = {file.stem: scripts["run"].read_json(file) for file in (HERE / "results" / scale).glob("*-seed*.json")}
    assert {"alone-seed0", "teacher-46-seed0" if scale == "few" else "teacher-seed0"} <= set(recorded)
    assert {name: one["digest"] for name, one in recorded.items()} == {name: known[name] for name in recorded}


def test_what_is_done_and_what_is_run_again(scripts, tmp_path, monkeypatch):
    run, data = scripts["run"], scripts["jobs"].Data(*DATA)
    row = scripts["jobs"].STUDENTS[0]
    first, second = (scripts["jobs"].Job(row, seed, HERE / "cpu.yaml", tmp_path) for seed in (0, 1))
    monkeypatch.setattr(run, "outcome", lambda job: {"miou": 0.5})
    monkeypatch.setattr(run, "train", lambda job, data: run.write_json(job.folder / "spent.json", {}))
    for job in (first, second):
        assert not run.done(job, tmp_path)
        run.record(job, data, tmp_path)
        assert run.done(job, tmp_path)
        shutil.rmtree(job.folder)
    assert run.done(second, tmp_path)
    assert not run.done(first, tmp_path)  # its run is gone, and its exported files are measured beside the others'
    other = tmp_path / "other.yaml"
    other.write_text((HERE / "cpu.yaml").read_text().replace("steps: 300", "steps: 301"))
    assert not run.done(scripts["jobs"].Job(row, 1, other, tmp_path), tmp_path)


@pytest.mark.parametrize("scale", SCALES)
def test_the_page_is_what_the_records_give(scale, scripts, tmp_path, monkeypatch):
    page = scripts["page"]
    monkeypatch.setattr(page, "HERE", tmp_path)
    page.write_page(page.read_runs(HERE / "results" / scale), HERE / "results" / scale)
    assert (tmp_path / f"{scale}.md").read_text() == (HERE / f"{scale}.md").read_text()
    shown = re.findall(r"\]\((.*\.svg)\)", (tmp_path / f"{scale}.md").read_text())
    assert f"{scale}-curves.svg" in shown and (scale == "few" or f"{scale}-gains.svg" in shown)
    for name in shown:
        drawing = (tmp_path / name).read_text()
        assert len(drawing) > 5000
        _, rules, drawn = re.split("<style>@media screen and|</style><defs>", drawing)
        used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawn))
        # grey is seen on either ground; every other colour has one for dark screens
        assert {colour for colour in used if f": {colour}" not in rules} <= {"#888888"} and len(used) > 3


def test_gains_are_paired_by_seed(scripts):
    runs = {"alone": {0: {"miou": 0.5}, 1: {"miou": 0.6}}, "cwd": {0: {"miou": 0.52}, 1: {"miou": 0.61}, 2: {"miou": 0.9}}}
    assert scripts["page"].gains(runs, "cwd") == pytest.approx([2.0, 1.0])
    assert scripts["page"].spread([2.0, 1.0], sign=True) == "+1.50 ± 0.71"


def test_few_labels_are_compared_with_the_same_without_unlabelled_images(scripts):
    rows = [row for row in scripts["jobs"].FEW_LABELS if row.name in ("cwd-46-300", "cwd-46-300-frames")]
    runs = {"cwd-46-300": {0: {"miou": 0.5}, 1: {"miou": 0.52}}, "cwd-46-300-frames": {0: {"miou": 0.53}, 1: {"miou": 0.54}}}
    table = scripts["page"].few_labels_table(runs, rows)
    assert table[2].endswith("| 2 | 51.00 ± 1.41 | – | – |") and table[3].endswith("| +2.50 ± 0.71 | +3.00, +2.00 |")


def test_fine_tuned_students_are_exported_once_and_stand_in_the_table(scripts, tmp_path, monkeypatch):
    from edgekd.cli import main

    run, page = scripts["run"], scripts["page"]
    row = scripts["jobs"].STUDENTS[0]
    job = scripts["jobs"].Job(row, 0, HERE / "long.yaml", tmp_path)
    asked = []

    def edgekd(verb, *options):
        command = main.get_command(None, verb)
        command.make_context(verb, list(options))  # every option is one that the project has
        asked.append((verb, *options))
        if verb == "export":
            run.write_json(Path(options[0]) / "export" / "int8" / "model.onnx", {})
        return 1.0

    monkeypatch.setattr(run, "edgekd", edgekd)
    monkeypatch.setattr(run, "load_results", lambda file: [])
    job.folder.mkdir()
    for _ in range(2):
        run.deployed([job], tmp_path, qat=True)
    verbs = [verb for verb, *_ in asked]
    assert verbs == ["export", "distill", "export", "bench", "bench"]
    assert "--qat" in asked[1] and str(job.folder) in asked[1] and asked[2][1] == str(tmp_path / "alone-seed0-qat")
    files = [
        {"run": name, "precision": precision, "backend": "onnxruntime-cpu 1", "miou": miou, "p50_ms": 5, "mb": 3}
        for name, precision, miou in (("alone-seed0", "fp32", 0.7), ("alone-seed0", "int8", 0.68), ("alone-seed0-qat", "int8", 0.69))
    ]
    head, _, line = page.deployed_table({"rows": files}, [row])
    assert head == "| | FP32, onnxruntime-cpu | INT8, onnxruntime-cpu | QAT, INT8, onnxruntime-cpu |"
    assert line == f"| {row.title} | 70.00 · 5.0 ms · 3.0 MB | 68.00 · 5.0 ms · 3.0 MB | 69.00 · 5.0 ms · 3.0 MB |"


def test_the_published_weight_is_what_is_tuned(scripts, tmp_path):
    from edgekd.distill.methods import method_recipe
    from edgekd.distill.registry import TRANSFERS
    from edgekd.loading import assignment

    tuned = scripts["jobs"].TUNED
    for row in tuned:
        (_, text), published = row.options, method_recipe(row.tunes)["transfer"]
        first, *beside = assignment(text.format(root="", runs=""))["transfer"]
        factor = float(row.name.rpartition("-x")[2])
        assert first["method"] == row.tunes and beside == published[1:] and factor in scripts["jobs"].FACTORS
        assert first["weight"] == pytest.approx(factor * TRANSFERS[row.tunes].default_weight)
    runs = {row.name: {0: {"miou": 0.4 + 0.01 * number}} for number, row in enumerate(tuned)} | {"fitnet": {0: {"miou": 0.3}}}
    (line,) = scripts["page"].tuned_table(runs)[2:]
    scores = [100 * runs[row.name][0]["miou"] for row in tuned if row.tunes == "fitnet"]
    assert line == f"| FitNet | 30.00 | {scores[0]:.2f} | {scores[1]:.2f} | {scores[1]:.2f} |"
