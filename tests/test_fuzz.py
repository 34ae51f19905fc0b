"""Generated bad inputs through the command line in this process: no traceback, no hang, the right code, nothing partial, nothing replaced.

`pytest -m fuzz` runs these alone.
"""

import json
import random
import zipfile

import pytest
import yaml

from edgekd_runtime.artifact import SCHEMA_VERSION
from edgekd_runtime.bundle import MANIFEST
from tests.conftest import TINY
from tests.fuzzing import broken, ends_well, torn
from tests.report.realistic import realistic

ROUNDS = range(160)
pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(30)]


@pytest.fixture(scope="module")
def sound():
    (one,) = realistic(1)
    return json.loads(json.dumps(one.to_json()))


def test_what_is_sound_passes(sound, tmp_path):
    (tmp_path / "r.json").write_text(json.dumps({"schema_version": 1, "measurements": [sound]}))
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(TINY))
    assert ends_well(["report", tmp_path / "r.json", "--out", tmp_path / "page.html"], tmp_path) == 0
    assert ends_well(["recipes", tmp_path / "a.yaml"], tmp_path) == 0


@pytest.mark.parametrize("seed", ROUNDS)
def test_results(sound, tmp_path, seed):
    chance = random.Random(seed)
    text = json.dumps({"schema_version": 1, "measurements": [broken(sound, chance), sound]}).encode()
    (tmp_path / "r.json").write_bytes(torn(text, chance) if seed % 3 == 0 else text)
    code = ends_well(["report", tmp_path / "r.json", "--out", tmp_path / "page.html"], tmp_path)
    assert (tmp_path / "page.html").exists() == (code == 0)


@pytest.mark.parametrize("seed", ROUNDS)
def test_sidecars(sound, tmp_path, seed):
    chance = random.Random(seed)
    text = json.dumps({"schema_version": SCHEMA_VERSION, **broken(sound["artifact"], chance)}).encode()
    (tmp_path / "export").mkdir()
    (tmp_path / "export/model.json").write_bytes(torn(text, chance) if seed % 3 == 0 else text)
    (tmp_path / "export/model.onnx").write_bytes(b"no model")
    assert ends_well(["bundle", tmp_path / "export", "--out", tmp_path / "a.pyz"], tmp_path) != 0
    assert not (tmp_path / "a.pyz").exists()


@pytest.mark.parametrize("seed", ROUNDS)
def test_recipes(tmp_path, seed):
    chance = random.Random(seed)
    document = broken(json.loads(json.dumps(TINY)), chance)
    text = yaml.safe_dump(document).encode(errors="replace")
    (tmp_path / "a.yaml").write_bytes(torn(text, chance) if seed % 3 == 0 else text)
    ends_well(["recipes", tmp_path / "a.yaml"], tmp_path)


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
