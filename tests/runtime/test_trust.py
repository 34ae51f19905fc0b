"""Code that only a file names does not run; what the user named does, here and later on this machine."""

import json
import zipfile

import pytest

from edgekd_runtime import trust
from edgekd_runtime.bundle import MANIFEST, unpack
from edgekd_runtime.errors import EdgeKDError, UsageError
from edgekd_runtime.plugins import load_reference


def test_what_only_a_file_names_is_not_even_imported(stranger, tmp_path):
    for name in (stranger, "torch.hub:load", "numpy:load", "click.utils:os.system"):
        with pytest.raises(UsageError, match="edgekd --trust VERB"):
            load_reference(name)
    assert not (tmp_path / "ran").exists()


def test_what_the_user_named_runs_now_and_later_from_the_same_place(stranger, tmp_path, monkeypatch):
    trust.name_by_user({"student": {"name": f"{stranger}-resnet18"}})
    assert load_reference(stranger)() == 7 and (tmp_path / "ran").exists()
    monkeypatch.setattr(trust, "_named", set())  # as in a later process
    assert load_reference(stranger)() == 7
    monkeypatch.setattr(trust, "_origin", lambda name: "/elsewhere")  # a module of the same name in another folder
    with pytest.raises(UsageError, match="you have not named it on this machine"):
        load_reference(stranger)


def test_part_of_a_name_is_not_the_name(stranger):
    trust.name_by_user(f"my_{stranger} {stranger}.more x.{stranger}")
    with pytest.raises(UsageError):
        load_reference(stranger)


def test_the_switch_trusts_all(stranger, monkeypatch):
    monkeypatch.setenv(trust.SWITCH, "1")
    assert load_reference(stranger)() == 7


def test_a_known_package_lends_its_name_to_nothing_else(stranger):
    pytest.importorskip("torchvision")
    assert callable(load_reference("torchvision.models.segmentation:fcn_resnet50"))
    for name in ("torchvision.models._api:importlib.import_module", "torchvision.models.resnet:torch.hub.load"):
        with pytest.raises(UsageError, match=r"not defined in that package|has no"):
            load_reference(name)


@pytest.mark.parametrize("package", ["segmentation_models_pytorch_more", "segmentation_models_pytorch"])
def test_a_folder_that_calls_itself_a_known_package_is_none(stranger, tmp_path, package, monkeypatch):
    monkeypatch.setattr(trust, "_origin", lambda name: str(tmp_path / package / "__init__.py"))
    assert not trust.is_known(f"{package}:build")


@pytest.mark.parametrize(
    ("files", "images", "words"),
    [
        ({"../out": "x"}, 0, "no file of a bundle"),
        ({"/tmp/out": "x"}, 0, "no file of a bundle"),
        ({"models/../../out": "x"}, 0, "no file of a bundle"),
        ({"edgekd_runtime/x.py": "x"}, 0, "no file of a bundle"),
        ({"models/a": 5}, 0, r"files\.models/a must be text"),
        ({}, -1, "images must be from 0"),
        ({}, "many", "images must be a whole number"),
        ([], 0, "files must be an object"),
    ],
)
def test_a_bundles_entries_stay_inside_and_its_manifest_is_checked(tmp_path, files, images, words):
    with zipfile.ZipFile(tmp_path / "a.pyz", "w") as archive:
        for name in files:
            archive.writestr(name, "x")
        archive.writestr(MANIFEST, json.dumps({"schema_version": 1, "images": images, "files": files}))
    with pytest.raises(EdgeKDError, match=words):
        unpack(tmp_path / "a.pyz")
    assert not list(tmp_path.rglob("out"))


def test_a_compressed_entry_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pyz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("models/a", b"0" * 10_000_000)
        archive.writestr(MANIFEST, json.dumps({"schema_version": 1, "images": 0, "files": {"models/a": "x"}}))
    with pytest.raises(EdgeKDError, match="compressed"):
        unpack(tmp_path / "a.pyz")
