"""The loop: killed and resumed, two processes, accumulation, precision, NaN."""

import fcntl
import itertools
import json
import os
import signal
import subprocess
import sys
import termios
import time
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import save_file

from edgekd import parts, pipeline
from edgekd.config import Recipe
from edgekd.data import open_split
from edgekd.loading import merge, validate
from edgekd.models import load_network
from edgekd.runs import Run
from edgekd.train.interrupt import asked_to_end
from edgekd.train.loop import Trainer
from edgekd.train.schedule import lr_factor
from edgekd_runtime.errors import EdgeKDError, UsageError
from tests.data.test_frames import write_drive


def with_train(recipe: Recipe, **options) -> Recipe:
    return recipe.model_copy(update={"train": recipe.train.model_copy(update=options)})


def state_of(folder):
    return torch.load(folder / "last.pt", weights_only=True)


def same(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(same(*pair) for pair in zip(first, second, strict=True))
    return first == second


RESUMABLE = ("objective", "optimizers", "average", "rng", "step", "best")


def test_killed_and_resumed_is_the_unbroken_run_bit_for_bit(tmp_path, tiny, tiny_file):
    """SIGKILL in the middle, then --resume: weights, optimisers, averages, statistics, random state and log are equal."""
    extra = ["--set", "train.ema=0.9", "--set", "train.steps=20", "--set", "train.val_every=5", "--set", "data.workers=1"]
    extra += ["--set", "train.accelerator=cpu"]  # a GPU adds gradients in an order of its own
    extra += ["--set", "data.rare=0.5", "--set", "data.blur=0.5", "--set", "task.class_weights=auto"]
    extra += ["--unlabelled", write_drive(tmp_path / "drive.avi"), "--set", "task.pseudo=0.5"]
    method = ["--set", "transfer=[{method: fakd-cwd}, {method: dist}, {method: bpkd, weight: 0.02}, {method: afdcd}]"]
    pipeline.train(parts.teacher_part(tiny), tmp_path / "teacher")
    base = [sys.executable, "-m", "edgekd", "distill", "--recipe", tiny_file, "--teacher", tmp_path / "teacher", *extra, *method]
    subprocess.run([*base, "--out", tmp_path / "whole"], check=True, capture_output=True)
    broken = subprocess.Popen(
        [*base, "--out", tmp_path / "broken"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    metrics = tmp_path / "broken/metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (metrics.exists() and len(metrics.read_text().splitlines()) >= 9):
        time.sleep(0.005)
    os.killpg(broken.pid, signal.SIGKILL)
    broken.wait()
    stopped = state_of(tmp_path / "broken")["step"]
    assert 5 <= stopped < 20
    subprocess.run([sys.executable, "-m", "edgekd", "distill", "--resume", "--out", tmp_path / "broken"], check=True, capture_output=True)
    whole, resumed = state_of(tmp_path / "whole"), state_of(tmp_path / "broken")
    for key in RESUMABLE:
        assert same(whole[key], resumed[key]), key

    def log(name):
        records = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in record.items() if key != "images_per_s"} for record in records]

    assert log("whole") == log("broken")


def test_a_run_is_resumed_where_the_weights_that_it_began_with_are_gone(tmp_path, tiny):
    weights = tmp_path / "imagenet.safetensors"
    save_file(timm.create_model("resnet10t", num_classes=0).state_dict(), weights)
    student = tiny.student.model_copy(update={"name": "fcn-resnet10t", "weights": str(weights)})
    recipe = with_train(parts.student_part(tiny.model_copy(update={"student": student})), steps=2)
    pipeline.train(recipe, tmp_path / "run")
    longer = with_train(recipe, steps=3)
    weights.unlink()
    pipeline.train(longer, tmp_path / "run", resume=True)
    assert state_of(tmp_path / "run")["step"] == 3
    with pytest.raises(EdgeKDError, match=r"imagenet\.safetensors"):
        pipeline.train(recipe, tmp_path / "other")


def run_torchrun(*words):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", 2, "--master_port", 29500 + os.getpid() % 500]
    command += ["-m", "edgekd", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr[-3000:]


RDD = ["task.weighting=difficulty", "task.warmup=0.25", "task.min_kept=400", "task.threshold=0.01"]  # so low that min_kept decides
HARD = ["task.weighting=ohem", "task.threshold=0.01", "task.min_kept=400", "task.dice=1", "task.class_weights=auto", "data.rare=0.5"]
LAD = ["teacher.label_assisted=true", "teacher.model=null", "teacher.steps=4"]


UNLABELLED = ["data.unlabelled=[drive.avi]", "task.pseudo=0.5", "teacher.confidence=0.3"]


@pytest.fixture
def one_thread():
    """As each process of torchrun has: sums in another order would be other numbers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("methods", "settings"),
    [
        (["cwd", "fakd-cwd"], HARD),
        (["pd", "cirkd", "dist"], [*RDD, *UNLABELLED]),
        (["cwd", "adversarial"], LAD),
    ],
)
def test_two_processes_train_what_one_does(tmp_path, tiny, tiny_file, methods, settings, monkeypatch, edgekd):
    """Same images and noise, synchronised batch norm, losses, thresholds, similarities and class statistics over all processes.

    The contract of transfers compares each of them.
    """
    monkeypatch.chdir(tmp_path)
    write_drive(tmp_path / "drive.avi")
    transfers = ", ".join(f"{{method: {name}, weight: 1{', width: 8' if name == 'adversarial' else ''}}}" for name in methods)
    extra = ["--set", f"transfer=[{transfers}]", "--set", "student.dropout=0", "--steps", "4"]
    extra += [part for setting in settings for part in ("--set", setting)]
    if settings is not LAD:
        pipeline.train(parts.teacher_part(tiny), tmp_path / "teacher")
        extra += ["--teacher", tmp_path / "teacher"]
    for run, name in ((edgekd, "one"), (run_torchrun, "two")):
        run("distill", "--recipe", tiny_file, "--out", tmp_path / name / "student", *extra)
    one, two = state_of(tmp_path / "one/student"), state_of(tmp_path / "two/student")
    assert one["objective"].keys() == two["objective"].keys()
    for key, value in one["objective"].items():
        torch.testing.assert_close(two["objective"][key], value, rtol=2e-3, atol=2e-4, msg=lambda text, key=key: f"{key}: {text}")
    losses = [
        [json.loads(line)["parts"] for line in (tmp_path / name / "student/metrics.jsonl").read_text().splitlines() if "parts" in line]
        for name in ("one", "two")
    ]
    for first, second in zip(*losses, strict=True):
        assert first == pytest.approx(second, rel=1e-3)


def test_fabric_starts_its_own_processes(tmp_path, tiny_file):
    command = [sys.executable, "-m", "edgekd", "train", "--recipe", tiny_file, "--devices", "2", "--steps", "2", "--out", tmp_path / "run"]
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    assert len(state_of(tmp_path / "run")["rng"]) == 2


def test_accumulated_parts_sum_to_the_batch(tmp_path, tiny):
    """With frozen batch norm and no void, the parts' mean gradient is the batch's."""
    fixed = tiny.model_copy(
        update={"student": tiny.student.model_copy(update={"batch_norm": "freeze", "dropout": 0.0, "name": "fcn-resnet10t"})}
    )
    fixed = fixed.model_copy(update={"data": fixed.data.model_copy(update={"scale": (1.0, 1.0)})})
    steps = []
    for accumulate in (1, 2):
        recipe = with_train(parts.student_part(fixed), accumulate=accumulate, steps=1, lr=0.1, weight_decay=0.0)
        torch.manual_seed(recipe.train.seed)
        start = pipeline.OBJECTIVES["supervised"](recipe, open_split(recipe).classes, False).state_dict()
        pipeline.train(recipe, tmp_path / str(accumulate))
        end = state_of(tmp_path / str(accumulate))["objective"]
        steps.append(end["student.classifier.bias"] - start["student.classifier.bias"])
    # the head's own batch norm still sees the parts, so equal within that; undivided parts would double the step
    torch.testing.assert_close(steps[1], steps[0], rtol=0.1, atol=0.1 * float(steps[0].abs().max()))


def test_bf16_trains(tmp_path, tiny):
    pipeline.train(with_train(parts.student_part(tiny), precision="bf16", steps=4), tmp_path / "run")
    losses = [record["loss"] for record in Run(tmp_path / "run").history() if "loss" in record]
    assert len(losses) == 4 and all(0 < loss < 20 for loss in losses)


def test_fp16_is_refused_on_a_cpu_instead_of_becoming_something_else(tmp_path, tiny):
    recipe = with_train(parts.student_part(tiny), precision="16", accelerator="cpu")
    with pytest.raises(UsageError, match="use bf16 or 32"):
        pipeline.train(recipe, tmp_path / "run")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: fp16 has no CPU form")
def test_fp16_trains_with_a_loss_scaler(tmp_path, tiny):
    pipeline.train(with_train(parts.student_part(tiny), precision="16", steps=4), tmp_path / "run")
    assert state_of(tmp_path / "run")["scaler"]["scale"] > 0


def test_a_run_learns_and_keeps_its_best(tmp_path, tiny):
    recipe = with_train(parts.student_part(tiny), steps=30, val_every=10, optimizer="adamw", lr=0.005, ema=0.5)
    state = pipeline.train(recipe, tmp_path / "run")
    history = Run(tmp_path / "run").history()
    losses = [record["loss"] for record in history if "loss" in record]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    best = max(record["val"]["miou"] for record in history if "val" in record)
    _, about = load_network(tmp_path / "run")
    assert about.miou == pytest.approx(best, abs=1e-6) == pytest.approx(state.best, abs=1e-6)
    card = (tmp_path / "run/README.md").read_text()
    assert f"{100 * best:.2f}" in card and "| road |" in card
    assert list((tmp_path / "run").glob("events.out.tfevents.*"))


def test_a_nan_stops_the_run_and_keeps_the_checkpoint(tmp_path, tiny, monkeypatch):
    pipeline.train(parts.teacher_part(tiny), tmp_path / "teacher")
    recipe = tiny.model_copy(update={"teacher": tiny.teacher.model_copy(update={"run": str(tmp_path / "teacher")})})
    from edgekd.distill import cwd

    original, calls = cwd.ChannelKD.forward, []

    def failing(self, pair):
        calls.append(1)
        return original(self, pair) * (float("nan") if len(calls) == 5 else 1.0)

    monkeypatch.setattr(cwd.ChannelKD, "forward", failing)
    with pytest.raises(EdgeKDError, match=r"Step 5: the loss part 'cwd' is nan; .*last\.pt of an earlier step is kept"):
        pipeline.distill(recipe, tmp_path / "run")
    state = state_of(tmp_path / "run")
    assert state["step"] == 3 and all(bool(value.isfinite().all()) for value in state["objective"].values())


def test_the_schedule_is_poly_under_a_linear_warmup(tiny):
    train = with_train(tiny, steps=100, warmup_steps=10).train
    assert lr_factor(0, train) == pytest.approx(0.1) and lr_factor(50, train) == pytest.approx(0.5**0.9)
    assert 0 < lr_factor(99, train) < 0.02


def test_a_run_is_not_overwritten_by_accident(tmp_path, tiny):
    recipe = with_train(parts.student_part(tiny), steps=1)
    pipeline.train(recipe, tmp_path / "run")
    before = (tmp_path / "run/last.pt").read_bytes()
    with pytest.raises(UsageError, match="--resume"):
        pipeline.train(recipe, tmp_path / "run")
    assert (tmp_path / "run/last.pt").read_bytes() == before


def test_one_process_writes_a_run_at_a_time(tmp_path, tiny):
    hold = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    recipe, run = with_train(parts.student_part(tiny), steps=1), tmp_path / "run"
    run.mkdir()
    with subprocess.Popen([sys.executable, "-c", hold, run / ".lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(EdgeKDError, match=f"Another process is training into {run}"):
            pipeline.train(recipe, run)
        other.kill()
    assert not (run / "recipe.yaml").exists()
    pipeline.train(recipe, run)


def hear_ctrl_c():
    """A background job of a shell ignores it, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def started(tmp_path, tiny_file):
    """Start a training of 200 steps as a process that hears signals; gives it and its folder once it has logged three steps."""
    run, running = tmp_path / "run", []

    def start(every, **process):
        settings = ["--set", "train.steps=200", "--set", f"train.val_every={every}", "--set", "data.workers=1"]
        command = [sys.executable, "-m", "edgekd", "train", "--recipe", tiny_file, *settings, "--out", run]
        process = {"stderr": subprocess.PIPE, "preexec_fn": hear_ctrl_c, **process}
        running.append(subprocess.Popen(command, text=True, start_new_session=True, **process))
        while not ((run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text().count("\n") >= 3):
            assert running[-1].poll() is None
            time.sleep(0.02)
        return running[-1], run

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("every", "number"), [(100, signal.SIGINT), (1, signal.SIGTERM)])
def test_ctrl_c_and_sigterm_keep_the_step_and_say_how_to_go_on(started, every, number):
    process, run = started(every)
    os.killpg(process.pid, number)  # as a terminal or systemd does: the loader's process hears it too
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and f"continue with `edgekd train --resume --out {run}`" in said and "Traceback" not in said
    step = state_of(run)["step"]
    assert f"Stopped at step {step} of 200" in said and step < 200


def test_a_terminal_that_goes_away_keeps_the_step(started):
    near, far = os.openpty()

    def take_terminal():
        fcntl.ioctl(far, termios.TIOCSCTTY, 0)

    process, run = started(100, stdin=far, stdout=far, stderr=far, preexec_fn=take_terminal)
    os.close(far)
    os.read(near, 1 << 16)
    os.close(near)  # the kernel now sends SIGHUP, and what is written there fails
    assert process.wait(60) == 130 and 3 <= state_of(run)["step"] < 200


def test_the_state_is_saved_by_the_clock_too(tmp_path, tiny, monkeypatch):
    saved = []
    monkeypatch.setattr(Trainer, "_save", lambda self: saved.append(self.state.step))
    minutes = itertools.count()
    monkeypatch.setattr("edgekd.train.loop.time", SimpleNamespace(perf_counter=time.perf_counter, monotonic=lambda: 60.0 * next(minutes)))
    recipe = with_train(parts.student_part(tiny), steps=9, val_every=9, save_minutes=1.5)
    pipeline.train(recipe, tmp_path / "run")
    assert saved == [2, 4, 6, 8, 9]


def test_a_run_is_not_its_own_teacher(tmp_path, tiny):
    pipeline.train(with_train(parts.teacher_part(tiny), steps=1), tmp_path / "run")
    itself = tiny.model_copy(
        update={"teacher": tiny.teacher.model_copy(update={"run": str(tmp_path / "run")}), "objective": "distillation"}
    )
    with pytest.raises(UsageError, match="is this run's own teacher"):
        pipeline.train(itself, tmp_path / "run", overwrite=True)
    assert (tmp_path / "run/best.safetensors").is_file()


def test_where_nothing_reads_a_teacher_none_is_trained(tmp_path, tiny, monkeypatch):
    parts_trained = []
    monkeypatch.setattr(pipeline, "train", lambda part, folder, **options: parts_trained.append(part.method))
    pipeline.distill(tiny.model_copy(update={"transfer": []}), tmp_path / "alone")
    assert parts_trained == ["baseline"]
    weighted = tiny.model_copy(update={"transfer": [], "task": tiny.task.model_copy(update={"weighting": "difficulty", "min_kept": 100})})
    pipeline.distill(weighted, tmp_path / "weighted")
    assert parts_trained[1:] == ["teacher", weighted.method]


@pytest.mark.parametrize(
    ("teacher", "speed", "says"),
    [({"window": (32, 32)}, {}, "64x96 only"), ({}, {"fold_teacher": True}, "weights stay"), ({}, {"bf16_teacher": True}, "weights stay")],
)
def test_what_a_compiled_teacher_cannot_do_is_said(teacher, speed, says, tmp_path, tiny):
    net = torch.nn.Conv2d(3, 9, 1)
    torch.onnx.export(net, (torch.zeros(1, 3, 64, 96),), tmp_path / "net.onnx", dynamo=True, verbose=False)
    changed = {"teacher": {"source": str(tmp_path / "net.onnx"), **teacher}, "train": {"speed": speed}}
    recipe = validate(Recipe, merge(tiny.model_dump(mode="json", exclude={"teacher"}), changed), "test")
    with pytest.raises(UsageError, match=says):
        pipeline.load_teacher(recipe, open_split(recipe).classes)


@pytest.mark.parametrize("name", ["metrics.jsonl", "best.safetensors"])
def test_a_finished_run_that_lacks_a_file_says_so(tmp_path, tiny, name):
    recipe, run = with_train(parts.student_part(tiny), steps=1), tmp_path / "run"
    pipeline.train(recipe, run)
    (run / name).unlink()
    with pytest.raises(EdgeKDError, match=f"{name} of this finished run is gone"):
        pipeline.train(recipe, run, resume=True)


def test_what_cannot_train_is_refused_first(tmp_path, tiny):
    with pytest.raises(UsageError, match="batch_size 4 can't be split"):
        pipeline.train(with_train(parts.student_part(tiny), accumulate=3), tmp_path / "run")
    pooled = tiny.model_copy(update={"student": tiny.student.model_copy(update={"name": "psp-resnet10t"})})
    with pytest.raises(UsageError, match="two images"):
        pipeline.train(with_train(parts.student_part(pooled), accumulate=4), tmp_path / "run")
    with pytest.raises(UsageError, match="needs a teacher"):
        pipeline.train(tiny, tmp_path / "run")
    assert not (tmp_path / "run/last.pt").exists()


def test_distil_trains_the_teacher_first_and_then_reuses_it(tmp_path, tiny, capsys):
    lad = tiny.model_copy(update={"teacher": tiny.teacher.model_copy(update={"label_assisted": True, "model": None})})
    lad = with_train(lad, steps=3)
    resolved = pipeline.distill(lad, tmp_path / "student")
    assert "Training the teacher first" in capsys.readouterr().err
    _, about = load_network(tmp_path / "tiny-lad-teacher-lraspp-mobilenetv3_small_050-seed0")
    assert about.in_channels == 4 and resolved.teacher.run.endswith("seed0")
    card = (tmp_path / "tiny-lad-teacher-lraspp-mobilenetv3_small_050-seed0/README.md").read_text()
    assert "Privileged" in card
    pipeline.distill(lad, tmp_path / "student2")
    assert "Reusing the teacher" in capsys.readouterr().err
    with pytest.raises(UsageError, match="another recipe"):
        pipeline.distill(with_train(lad, lr=0.5), tmp_path / "student3")


def test_a_signal_is_acknowledged_without_the_streams_locks(monkeypatch, capfd):
    """A live progress bar stands in for stderr, and what the signal interrupted may hold its locks."""

    class Locked:
        def write(self, text):
            raise AssertionError("this would wait for ever")

    with asked_to_end() as asked:
        monkeypatch.setattr(sys, "stderr", Locked())
        os.kill(os.getpid(), signal.SIGTERM)
        monkeypatch.undo()
    assert asked.is_set() and "Finishing this step" in capfd.readouterr().err
