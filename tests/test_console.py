"""What is said while something runs: the time left is of what this process does, not of what it took over."""

from edgekd import console


def test_lines_say_the_time_left_of_a_resumed_run(monkeypatch, capsys):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    update = console._lines("train")
    for done in (294, 304, 314):
        now += 20  # two seconds a step
        update(done, 400)
    said = [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()]
    assert said == ["train: 294/400", "train: 304/400, 3:12 left", "train: 314/400, 2:52 left"]
