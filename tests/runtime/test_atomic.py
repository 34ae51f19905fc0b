"""Writes that replace nothing but files, leave nothing behind, and clean up after killed processes."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from edgekd_runtime import atomic as module
from edgekd_runtime.artifact import find_models
from edgekd_runtime.atomic import atomic, scratch
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import read_json, write_json, write_text


@pytest.fixture(autouse=True)
def not_swept(monkeypatch):
    monkeypatch.setattr(module, "_swept", set())


def special(path, kind):
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    elif kind == "device":
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root makes devices")
    else:
        path.symlink_to(path.name)


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "device", "circle"])
def test_what_is_no_file_is_never_replaced(tmp_path, kind):
    path = tmp_path / "out.json"
    special(path, kind)
    before = path.lstat()
    with pytest.raises(EdgeKDError, match=r"out\.json"):
        write_text(path, "new")
    after = path.lstat()
    assert (before.st_mode, before.st_ino) == (after.st_mode, after.st_ino)
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize("path", ["/dev/null", "/dev/stdout", "/proc/self/fd/1"])
def test_devices_are_refused_by_name_whatever_they_lead_to(path):
    with pytest.raises(EdgeKDError, match=path):
        write_text(path, "new")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real/a.json")
    (tmp_path / "dangling.json").symlink_to("real/b.json")
    for name in ("link", "dangling"):
        write_text(tmp_path / f"{name}.json", "new")
        assert (tmp_path / f"{name}.json").is_symlink()
    assert {file.name: file.read_text() for file in (tmp_path / "real").iterdir()} == {"a.json": "new", "b.json": "new"}


def test_modes_are_kept_and_new_files_follow_the_umask(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o640)
    before = os.umask(0o027)
    try:
        for name in "ab":
            write_text(tmp_path / name, "new")
    finally:
        os.umask(before)
    assert {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"} == {"a": 0o640, "b": 0o640}
    assert (tmp_path / "a").read_text() == "new"


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path):
    write_text(tmp_path / ("x" * 250 + ".txt"), "new")
    with pytest.raises(EdgeKDError, match="Can't write"):
        write_text(tmp_path / ("x" * 300), "new")


KILLED = """
import sys, time
from edgekd_runtime.atomic import atomic
with atomic(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_left_goes_at_the_next_write_and_what_a_living_one_writes_stays(tmp_path):
    target = tmp_path / "model.onnx"
    target.write_text("old")
    writers = []
    for _ in range(2):
        writers.append(subprocess.Popen([sys.executable, "-c", KILLED, target], stdout=subprocess.PIPE))
        assert writers[-1].stdout.readline() == b"writing\n"
    killed, living = writers
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    try:
        assert len(list(tmp_path.glob(".edgekd-*"))) == 2 and target.read_text() == "old"
        assert find_models(tmp_path) == [target], "unfinished files are no models"
        write_text(tmp_path / "other", "")
        assert len(list(tmp_path.glob(".edgekd-*"))) == 1
        assert (next(tmp_path.glob(".edgekd-*")) / "model.onnx").read_text() == "half"
    finally:
        living.kill()
        living.wait()


def test_a_swept_folder_is_made_again(tmp_path, monkeypatch):
    """Another process may sweep it before it is locked."""
    flock, calls = module.fcntl.flock, []

    def late(handle, how):
        calls.append(handle)
        if len(calls) == 1:
            next(tmp_path.glob(".edgekd-*")).rmdir()
        flock(handle, how)

    monkeypatch.setattr(module.fcntl, "flock", late)
    with scratch(tmp_path) as folder:
        assert folder.is_dir() and len(calls) == 2


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    import errno

    with pytest.raises(EdgeKDError, match=r"Can't write .*a\.json: No space left on device"), atomic(tmp_path / "a.json"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    begin = time.monotonic()
    for path in (tmp_path / "a.json", "/dev/zero", tmp_path):
        with pytest.raises(EdgeKDError, match="name a file"):
            read_json(path)
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}', "[" * 100_000, "{", "", "\ufeff{}", "9" * 5000])
def test_what_is_no_json_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(EdgeKDError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_names_of_other_encodings_can_be_written(tmp_path):
    write_json(tmp_path / "a.json", {"path": os.fsdecode(b"caf\xe9")})
    assert b"caf\\udce9" in (tmp_path / "a.json").read_bytes()
    assert read_json(tmp_path / "a.json") == {"path": "caf\udce9"}
