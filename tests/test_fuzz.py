"""Generated bad inputs through the command line in this process: no traceback, no hang, the right code, nothing partial, nothing replaced.

`pytest -m fuzz` runs these alone.
"""

import copy
import json
import random
import zipfile

import pytest
import yaml

from edgekd_runtime.artifact import SCHEMA_VERSION
from edgekd_runtime.bundle import MANIFEST
from tests.conftest import TINY
from tests.report.realistic import realistic

BAD = (None, -1, 0, 1e308, 1 << 70, True, "", "x" * 5000, "../../x", "\ud800", [], {}, [[[[]]]], {"a": None}, float("nan"), float("inf"))
ROUNDS = range(160)
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(30)]


def places(value, path=()):
    """Every place of a document but the whole."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(item, (*path, key))


def broken(document, chance: random.Random):
    """The document with one to three places wrong, missing or strange."""
    document = copy.deepcopy(document)
    for _ in range(chance.randint(1, 3)):
        *way, last = chance.choice(list(places(document)))
        here = document
        for key in way:
            here = here[key]
        if chance.random() < 0.2:
            del here[last]
        else:
            here[last] = chance.choice(BAD)
        if not document:
            break
    return document


def torn(data: bytes, chance: random.Random) -> bytes:
    """Bytes cut, doubled or turned."""
    kind, place = chance.randrange(4), chance.randrange(len(data))
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + bytes(chance.randrange(256) for _ in range(8)) + data[place + 8 :]
    return data + data[place:] if kind == 2 else data[:place] + b"\0" * 64 + data[place:]


def ends_well(edgekd_main, words, folder, code=(0, 1, 2)):
    """Run a verb; what it leaves beside its inputs is whole or nothing."""
    from click.testing import CliRunner

    kept = folder / "kept"
    kept.write_text("as it was")
    result = CliRunner().invoke(edgekd_main, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), (words, repr(result.exception))
    assert result.exit_code in code and "Traceback" not in result.output, result.output
    assert result.exit_code == 0 or "Error: " in result.output
    assert kept.read_text() == "as it was" and not list(folder.rglob(".edgekd-*"))
    return result.exit_code


@pytest.fixture(scope="module")
def main():
    from edgekd.cli import main

    return main


@pytest.fixture(scope="module")
def sound():
    (one,) = realistic(1)
    return json.loads(json.dumps(one.to_json()))


def test_what_is_sound_passes(main, sound, tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"schema_version": 1, "measurements": [sound]}))
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(TINY))
    assert ends_well(main, ["report", tmp_path / "r.json", "--out", tmp_path / "page.html"], tmp_path) == 0
    assert ends_well(main, ["recipes", tmp_path / "a.yaml"], tmp_path) == 0


@pytest.mark.parametrize("seed", ROUNDS)
def test_results(main, sound, tmp_path, seed):
    chance = random.Random(seed)
    text = json.dumps({"schema_version": 1, "measurements": [broken(sound, chance), sound]}).encode()
    (tmp_path / "r.json").write_bytes(torn(text, chance) if seed % 3 == 0 else text)
    code = ends_well(main, ["report", tmp_path / "r.json", "--out", tmp_path / "page.html"], tmp_path)
    assert (tmp_path / "page.html").exists() == (code == 0)


@pytest.mark.parametrize("seed", ROUNDS)
def test_sidecars(main, sound, tmp_path, seed):
    chance = random.Random(seed)
    text = json.dumps({"schema_version": SCHEMA_VERSION, **broken(sound["artifact"], chance)}).encode()
    (tmp_path / "export").mkdir()
    (tmp_path / "export/model.json").write_bytes(torn(text, chance) if seed % 3 == 0 else text)
    (tmp_path / "export/model.onnx").write_bytes(b"no model")
    assert ends_well(main, ["bundle", tmp_path / "export", "--out", tmp_path / "a.pyz"], tmp_path) != 0
    assert not (tmp_path / "a.pyz").exists()


@pytest.mark.parametrize("seed", ROUNDS)
def test_recipes(main, tmp_path, seed):
    chance = random.Random(seed)
    document = broken(json.loads(json.dumps(TINY)), chance)
    text = yaml.safe_dump(document).encode(errors="replace")
    (tmp_path / "a.yaml").write_bytes(torn(text, chance) if seed % 3 == 0 else text)
    ends_well(main, ["recipes", tmp_path / "a.yaml"], tmp_path)


@pytest.mark.parametrize("seed", ROUNDS[:80])
def test_bundles(tmp_path, seed):
    from edgekd_runtime.bundle import unpack
    from edgekd_runtime.errors import EdgeKDError

    chance = random.Random(seed)
    manifest = broken({"schema_version": 1, "images": 0, "files": {"models/a": "0" * 64, "models/b": "1" * 64}}, chance)
    with zipfile.ZipFile(tmp_path / "a.pyz", "w") as archive:
        archive.writestr("models/a", b"x" * 100)
        archive.writestr(MANIFEST, json.dumps(manifest))
    if seed % 2:
        (tmp_path / "a.pyz").write_bytes(torn((tmp_path / "a.pyz").read_bytes(), chance))
    try:
        unpack(tmp_path / "a.pyz")
    except EdgeKDError as error:
        assert "a.pyz" in str(error)
