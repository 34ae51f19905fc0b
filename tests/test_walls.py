"""Recipes that grow, names that lead elsewhere, logs that are torn, outputs that are full."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.bounded_yaml import parse_yaml
from edgekd.data import open_layout
from edgekd.loading import load_recipe
from edgekd.runs import Run
from edgekd_runtime.errors import UsageError

LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join(f'*a{n - 1}' for _ in range(9))}]\n" for n in range(1, 9))


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        "a: &a [*a]",
        "[" * 5000,
        "{a: " * 60 + "1" + "}" * 60,
        "a: 2024-01-01",
        "a: 2024-99-99",
        "a: !!binary YQ==",
        "a: !!timestamp x",
        "a: !!bool x",
        "a: !!int ''",
        "a: !!python/object/apply:os.system [ls]",
        'a: "\\ud800"',
        "? {}\n: 1",
        "a: b: c",
        "a: " + "9" * 5000,
        "#" * (1 << 20) + "\n",
    ],
    ids=range(16),
)
def test_yaml_that_no_recipe_needs_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"\w"):
        parse_yaml(text)
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"a\.yaml is not valid YAML") as told:
        load_recipe(tmp_path / "a.yaml")
    assert len(str(told.value)) < 6000


def test_aliases_that_stay_small_are_fine():
    assert parse_yaml("a: &a [1, 2]\nb: [*a, *a]\n") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "", ".hidden", "a\\b", "x" * 300])
def test_a_recipes_name_is_a_file_name(tiny_file, name):
    with pytest.raises(UsageError, match="name"):
        load_recipe(tiny_file, [{"name": name}])


@pytest.mark.parametrize("split", ["", "..", "../x", "/etc"])
def test_a_split_has_a_name(split):
    with pytest.raises(UsageError, match="no name of a split"):
        open_layout("streetscape", split)


def test_torn_lines_of_a_log_are_left_out_with_a_note(tmp_path, capsys):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n\xff\xfe\n{"step": 2}\n[]\n{"step": 3, "lo')
    assert [one["step"] for one in Run(tmp_path).history()] == [1, 2]
    assert "3 of 5 lines are torn" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["data", "layouts"]])
def test_a_full_output_ends_with_a_code(words):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "edgekd", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("Error: the output can't be written") and "Traceback" not in done.stderr


def test_a_torchvision_of_another_build_is_told(edgekd, monkeypatch):
    """As importing it beside a PyTorch of another build raises."""
    from edgekd.data import check

    def importing(*arguments):
        raise RuntimeError(words)

    monkeypatch.setattr(check, "check_layout", importing)
    monkeypatch.setattr("edgekd.builds.version", {"torch": "2.9.0+cpu", "torchvision": "0.24.0"}.get)
    words = "operator torchvision::nms does not exist"
    said = edgekd("data", "check", "streetscape", code=3).stderr
    assert "torchvision 0.24.0 does not go with PyTorch 2.9.0+cpu" in said and "--index-url https://download.pytorch.org/whl/cpu" in said
    words = "another fault"
    with pytest.raises(AssertionError, match="another fault"):
        edgekd("data", "check", "streetscape")
