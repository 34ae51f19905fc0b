"""Trackers: what reaches the library is what `metrics.jsonl` holds; a resumed run is the same record; a missing library is named."""

import inspect
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from edgekd import parts, pipeline
from edgekd.runs import Run
from edgekd.train.tracker import TRACKERS, tracking
from edgekd_runtime.errors import EdgeKDError, MissingError


class WandBStandIn(ModuleType):
    """As much of the module as is used, with its signatures."""

    def __init__(self):
        super().__init__("wandb")
        self.started, self.ends, self.logged = [], [], []

    def init(self, *, project, name, dir, config, id, resume):
        self.started.append({"name": name, "id": id, "config": config})
        log = lambda data: self.logged.append((data["step"], {key: value for key, value in data.items() if key != "step"}))  # noqa: E731
        return SimpleNamespace(
            id=id or "first",
            log=log,
            define_metric=lambda name, step_metric: None,
            finish=lambda exit_code: self.ends.append(exit_code == 0),
        )


class MLflowStandIn(ModuleType):
    """As much of the module as is used, with its signatures."""

    def __init__(self):
        super().__init__("mlflow")
        self.started, self.ends, self.logged, self.params = [], [], [], {}

    def set_experiment(self, experiment_name):
        pass

    def start_run(self, run_id, run_name):
        self.started.append({"name": run_name, "id": run_id})
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id or "first"))

    def log_params(self, params):
        assert len(params) <= 100 and not self.params.keys() & params.keys()
        self.params |= params
        self.started[-1]["config"] = self.params

    def log_metrics(self, metrics, step):
        self.logged.append((step, metrics))

    def end_run(self, status):
        self.ends.append(status == "FINISHED")


@pytest.fixture(params=[WandBStandIn, MLflowStandIn])
def library(request, monkeypatch):
    stand_in = request.param()
    monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
    return stand_in


def recipe_for(tiny, name):
    part = parts.student_part(tiny)
    return part.model_copy(update={"train": part.train.model_copy(update={"log": name, "steps": 4, "val_every": 2})})


def test_a_run_is_recorded_and_a_resumed_one_goes_on_with_its_record(tmp_path, tiny, library, monkeypatch):
    recipe, run = recipe_for(tiny, library.__name__), Run(tmp_path / "run")
    from edgekd.train.loop import Trainer

    original = Trainer._step

    def failing(self, batches):
        if self.state.step == 3:
            raise EdgeKDError("cut off")
        return original(self, batches)

    monkeypatch.setattr(Trainer, "_step", failing)
    with pytest.raises(EdgeKDError, match="cut off"):
        pipeline.train(recipe, run.path)
    assert library.ends == [False] and library.started[0]["name"] == "run"
    monkeypatch.setattr(Trainer, "_step", original)
    pipeline.train(recipe, run.path, resume=True)
    assert library.ends == [False, True] and [start["id"] for start in library.started] == [None, "first"]
    config = library.started[0]["config"]
    assert (config["train"]["steps"] if "train" in config else config["train.steps"]) == 4
    losses = {step: values["loss/total"] for step, values in library.logged if "loss/total" in values}
    scores = {step: values["val/miou"] for step, values in library.logged if "val/miou" in values}
    history = run.history()
    assert losses == {record["step"]: record["loss"] for record in history if "loss" in record} and len(losses) == 4
    assert scores == pytest.approx({record["step"]: record["val"]["miou"] for record in history if "val" in record}, abs=1e-6)
    assert not list(run.path.glob("events.out.tfevents.*"))


def test_a_server_that_is_gone_ends_the_record_and_not_the_run(tmp_path, tiny, monkeypatch, capsys):
    stand_in = MLflowStandIn()
    monkeypatch.setitem(sys.modules, "mlflow", stand_in)
    stand_in.log_metrics = stand_in.end_run = fail
    with tracking(tmp_path, recipe_for(tiny, "mlflow"), 0, None) as tracker:
        tracker.log({"lr": 1.0}, 1)
        tracker.log({"lr": 1.0}, 2)
    said = capsys.readouterr().err
    assert said.count("no answer") == 2 and "from step 1 on" in said and "Traceback" not in said
    stand_in.start_run = fail
    with (
        pytest.raises(EdgeKDError, match=r"--log mlflow can't be started \(no answer\)"),
        tracking(tmp_path, recipe_for(tiny, "mlflow"), 0, None),
    ):
        pass


def fail(*arguments, **options):
    raise OSError("no answer.\nat all")


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_library_is_named_before_anything_is_written(tmp_path, tiny, tiny_file, name, monkeypatch, edgekd):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingError, match=rf"pip install 'edgekd\[{name}\]'"):
        pipeline.train(recipe_for(tiny, name), tmp_path / "run")
    assert f"edgekd[{name}]" in edgekd("train", "--recipe", tiny_file, "--log", name, "--out", tmp_path / "run", code=3).output
    assert not (tmp_path / "run").exists()


def test_every_tracker_is_a_choice_with_an_extra():
    from edgekd.cli.train import command
    from edgekd.config import TrainRecipe

    names = set(TRACKERS)
    option = next(option for option in command.params if option.name == "log")
    assert set(option.type.choices) == names == set(TrainRecipe.model_fields["log"].annotation.__args__)
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert all(f"\n{name} = [" in project for name in names - {"tensorboard"})


@pytest.mark.parametrize(
    ("name", "function", "used"),
    [
        ("wandb", "init", {"project", "name", "dir", "config", "id", "resume"}),
        ("wandb", "Run.log", {"data"}),
        ("wandb", "Run.define_metric", {"name", "step_metric"}),
        ("wandb", "Run.finish", {"exit_code"}),
        ("mlflow", "start_run", {"run_id", "run_name"}),
        ("mlflow", "log_metrics", {"metrics", "step"}),
        ("mlflow", "log_params", {"params"}),
        ("mlflow", "end_run", {"status"}),
        ("mlflow", "set_experiment", {"experiment_name"}),
    ],
)
def test_the_real_library_has_what_is_used(name, function, used):
    found = pytest.importorskip(name)
    for part in function.split("."):
        found = getattr(found, part)
    assert used <= set(inspect.signature(found).parameters)


def test_a_clock_that_was_set_back_hides_no_points_of_tensorboard(tmp_path, tiny, monkeypatch):
    """Three parts of one run, each an hour before the last, and the last two within one second."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe, real = recipe_for(tiny, "tensorboard"), time.time
    for start, hours in ((0, 0), (2, 1), (4, 1)):
        monkeypatch.setattr(time, "time", lambda hours=hours: int(real()) - 3600 * hours)
        with tracking(tmp_path, recipe, start, None) as tracker:
            for step in (start, start + 1, start + 2):  # the last one is written again by the next part
                tracker.log({"loss": float(step)}, step)
    seen = EventAccumulator(str(tmp_path))
    seen.Reload()
    assert [(point.step, point.value) for point in seen.Scalars("loss")] == [(step, step) for step in range(7)]
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 3
