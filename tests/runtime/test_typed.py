"""Documents become records by their type hints; faults are told with the file and the field."""

import copy
import json
import math
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict

import pytest

from edgekd_runtime.accuracy import Accuracy
from edgekd_runtime.artifact import Artifact
from edgekd_runtime.classes import ClassSet
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.latency import Latency, Timing
from edgekd_runtime.measurement import Measurement, load_results, save_results
from edgekd_runtime.power.sampler import Energy
from edgekd_runtime.typed import NAN, Facts, Matches, Within, typed


class Wanted(TypedDict):
    a: int


@dataclass(frozen=True)
class Inner:
    share: Annotated[float, Within(0, 1), NAN]


@dataclass(frozen=True)
class Record:
    word: Annotated[str, Matches("[a-z]+", "a small word")]
    pair: tuple[int, float]
    inner: tuple[Inner, ...]
    by_name: dict[str, list[bool]]
    free: Annotated[dict[str, Any], Facts(Wanted)] = field(default_factory=dict)
    perhaps: int | None = None


SOUND = {"word": "abc", "pair": [1, 2], "inner": [{"share": 1}], "by_name": {"x": [True]}, "free": {"a": 1, "b": [1.5, None]}}


def test_a_sound_document_becomes_the_record_and_unknown_keys_are_left_out():
    assert typed(Record, SOUND | {"later": object()}, "f", "m") == Record("abc", (1, 2.0), (Inner(1.0),), {"x": [True]}, SOUND["free"])
    assert math.isnan(typed(Record, SOUND | {"inner": [{"share": None}]}, "f", "m").inner[0].share)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"word": 1}, "word must be text, not 1"),
        ({"word": "ABC"}, "word must be a small word, not 'ABC'"),
        ({"word": "\ud800"}, r"word must be text that UTF-8 can hold, not '\\ud800'"),
        ({"pair": [1]}, r"pair must be a list of 2, not \[1\]"),
        ({"pair": [True, 2]}, r"pair\[0\] must be a whole number, not True"),
        ({"pair": [1 << 70, 2]}, r"pair\[0\] must be a whole number"),
        ({"pair": [1, float("nan")]}, r"pair\[1\] must be a finite number, not nan"),
        ({"pair": [1, 10**400]}, r"pair\[1\] must be a finite number"),
        ({"pair": "12"}, "pair must be a list of 2"),
        ({"inner": [{"share": 1}, {"share": 1.5}]}, r"inner\[1\]\.share must be from 0 to 1, not 1.5"),
        ({"inner": [{}]}, r"inner\[0\]\.share is missing"),
        ({"inner": None}, "inner must be a list, not None"),
        ({"by_name": {"x": [1]}}, r"by_name\.x\[0\] must be true or false, not 1"),
        ({"by_name": []}, r"by_name must be an object with keys, not \[\]"),
        ({"free": {"b": 1}}, r"free\.a is missing"),
        ({"free": {"a": 1, "b": [math.inf]}}, r"free\.b\[0\] must be a finite number, not inf"),
        ({"perhaps": "1"}, "perhaps must be a whole number, not '1'"),
        ({"word": "x" * 10_000 + "1"}, r"word must be a small word, not '.{56}\.\.\.;"),
    ],
)
def test_a_fault_is_told_with_its_place(change, place):
    with pytest.raises(EdgeKDError, match=f"^f: {place}") as told:
        typed(Record, SOUND | change, "f", "m")
    assert len(str(told.value)) < 160 and str(told.value).endswith("; m.")
    with pytest.raises(EdgeKDError, match=r"f: must be an object with keys, not 5; m\."):
        typed(Record, 5, "f", "m")


def measurement() -> Measurement:
    classes = ClassSet(("road", "sky"), ((1, 2, 3), (4, 5, 6)))
    artifact = Artifact("m", "n", "cwd", (32, 64), "classes", "fp32", classes, (0.5,) * 3, (0.2,) * 3, 18, "ab" * 32, "cd" * 32)
    latency = {"network": Latency(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 10, 1000.0, histogram=(1, 2))}
    energy = {"network": Energy("rapl", "package", 1.0, 0.1, None)}
    accuracy = Accuracy(0.5, 0.9, 0.7, (0.5, math.nan))
    return Measurement(artifact, "m.onnx", 9, "onnxruntime-cpu", "1", 0, latency, accuracy, 4, Timing(), {"name": "x"}, energy=energy)


def places(value, path=()):
    """Every place of a document."""
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


@pytest.mark.parametrize("bad", [None, -1, 1e999, math.nan, "\ud800", [], {}, True, [[[]]], 1 << 80], ids=ascii)
def test_wherever_a_results_file_is_wrong_it_is_read_or_refused_by_name(tmp_path, bad):
    sound = json.loads(json.dumps({"schema_version": 1, "measurements": [measurement().to_json()]}))
    refused = 0
    for place in list(places(sound))[1:]:
        document = copy.deepcopy(sound)
        *way, last = place
        here = document
        for key in way:
            here = here[key]
        here[last] = bad
        (tmp_path / "r.json").write_text(json.dumps(document))
        try:
            load_results(tmp_path / "r.json")
        except EdgeKDError as error:
            refused += 1
            assert "r.json" in str(error)
    assert refused > 30


def test_results_survive_the_file_also_where_there_is_no_number(tmp_path):
    save_results(tmp_path / "r.json", [measurement()])
    (back,) = load_results(tmp_path / "r.json")
    assert math.isnan(back.accuracy.iou[1]) and back.latency == measurement().latency and back.energy == measurement().energy
