"""Benchmarks over ssh, against a real sshd."""

import hashlib
import json
import platform
import sys
from dataclasses import replace

import numpy
import pytest

from edgekd.device import DeviceOptions, bench_on_device, device_facts
from edgekd.device.copy import BLOCK, copy_to
from edgekd.device.ssh import Target
from edgekd_runtime.errors import EdgeKDError, MissingError, UsageError
from edgekd_runtime.measurement import load_results, save_results

QUICK = DeviceOptions(seconds=0.1)


@pytest.fixture
def blob(tmp_path):
    """A file of 8 MB and a bit, each part of it different, and its hash."""
    content = b"".join(hashlib.sha256(str(index).encode()).digest() for index in range(1 << 18)) + b"end"
    (tmp_path / "blob").write_bytes(content)
    return tmp_path / "blob", hashlib.sha256(content).hexdigest()


def quiet(done, total, note=""):
    pass


def test_results_come_back(device, exported, tmp_path, capfd):
    device.python(f'echo "Welcome to jetson {{nvidia}}"; echo "{{"; {sys.executable} -I "$@"; status=$?; echo "}} bye"; exit $status')
    measured, failures = bench_on_device("ssh://device", [exported], replace(QUICK, backends=("onnxruntime-cpu",), network_only=True))
    assert set(measured[0].latency) == {"network"}
    assert [one.backend for one in measured] == ["onnxruntime-cpu"] and measured[0].latency["network"].p50_ms > 0 and not failures
    assert measured[0].path.startswith(str(device.cache)) and measured[0].artifact.name == "m fp32"
    # every field comes back in its own type, so that the device's figures are treated as our own
    save_results(tmp_path / "r.json", measured)
    assert load_results(tmp_path / "r.json") == measured
    assert "device: m fp32" in capfd.readouterr().err


def test_what_figures_there_depend_on(device):
    device.python(f'echo "{{not JSON"; {sys.executable} -I "$@"; echo {{bye')
    facts = device_facts("ssh://device")
    assert facts["libraries"]["numpy"] == numpy.__version__ and facts["python"] == platform.python_version() and facts["cores"] > 0
    with pytest.raises(MissingError, match=r"Can't reach 127\.0\.0\.1: it refuses the connection"):
        device_facts("ssh://127.0.0.1:1")


def test_url_with_user_and_port(device, blob):
    target = Target.parse(f"ssh://{device.user}@127.0.0.1:{device.port}")
    assert copy_to(target, blob[0], quiet) == str(device.cache / f"edgekd/bundles/{blob[1]}.pyz")


NOT_A_DEVICE = [
    *(
        "jetson",
        "http://jetson",
        "ssh://",
        "ssh://jetson/path",
        "ssh://u:secret@jetson",
        "ssh://a@b@c",
        "ssh://jetson:0",
        "ssh://jetson:99999",
    ),
    *("ssh://-oProxyCommand=id", "ssh://-l@jetson", "ssh://j;id", "ssh://$(id)", "ssh://a b", "ssh://jetson\n"),
]


@pytest.mark.parametrize("url", NOT_A_DEVICE)
def test_anything_but_user_host_and_port_is_refused(url):
    with pytest.raises(UsageError, match="ssh://USER@HOST:PORT"):
        Target.parse(url)


def test_parts_of_a_url():
    assert Target.parse("ssh://Me.too@Jetson-1.local:2222/") == Target("Jetson-1.local", "Me.too", 2222)
    assert Target.parse("ssh://[fe80::1%eth0]") == Target("fe80::1%eth0")


def test_no_shell_reads_what_is_sent(device):
    words = ["$(touch x)", "`id`", "a'b\"c", ";", "~", "*", "-n", "a\nb", ""]
    with Target("device").start(["python3", "-c", "import sys; print(sys.argv[1:])", *words]) as there:
        assert there.stdout.read().decode().strip() == repr(words)


def test_only_what_is_missing_is_sent(device, blob):
    file, digest = blob
    there = device.cache / f"edgekd/bundles/{digest}.pyz"
    there.parent.mkdir(parents=True)
    there.write_bytes(file.read_bytes()[:5000000])
    sent = []
    assert copy_to(Target("device"), file, lambda done, total, note="": sent.append(done)) == str(there)
    assert sent[0] == 5000000 + BLOCK and there.read_bytes() == file.read_bytes()
    sent.clear()
    copy_to(Target("device"), file, lambda done, total, note="": sent.append(done))
    assert sent == []


def test_a_copy_that_is_cut_goes_on(device, blob):
    file, digest = blob
    there = device.cache / f"edgekd/bundles/{digest}.pyz"

    def cut(done, total, note=""):
        if done > total // 2:
            device.cut()

    with pytest.raises(EdgeKDError, match=r"connection to device was cut.*goes on") as raised:
        copy_to(Target("device"), file, cut)
    assert raised.value.exit_code == 1 and there.stat().st_size < file.stat().st_size
    first = []
    copy_to(Target("device"), file, lambda done, total, note="": first.append(done))
    assert first[0] > BLOCK and there.read_bytes() == file.read_bytes()


def test_what_arrives_damaged_is_deleted(device, blob):
    file, digest = blob
    there = device.cache / f"edgekd/bundles/{digest}.pyz"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"other")
    with pytest.raises(EdgeKDError, match="damaged"):
        copy_to(Target("device"), file, quiet)
    assert not there.exists()
    copy_to(Target("device"), file, quiet)
    assert there.read_bytes() == file.read_bytes()


def test_what_is_too_long_there_is_sent_anew(device, blob):
    file, digest = blob
    there = device.cache / f"edgekd/bundles/{digest}.pyz"
    there.parent.mkdir(parents=True)
    there.write_bytes(file.read_bytes() + b"more")
    copy_to(Target("device"), file, quiet)
    assert there.read_bytes() == file.read_bytes()


def test_a_talkative_ssh(device, blob):
    device.python(f'head -c 300000 /dev/zero >&2; exec {sys.executable} -I "$@"')  # more than a pipe holds
    assert copy_to(Target("device"), blob[0], quiet).endswith(f"{blob[1]}.pyz")


def test_a_full_disk_there(device, blob):
    device.python(f'ulimit -f 1000; exec {sys.executable} -I "$@"')
    with pytest.raises(EdgeKDError, match=r"device can't store the bundle \(File too large\); free some space there"):
        copy_to(Target("device"), blob[0], quiet)


def fails(kind, match, exported, tmp_path, url="ssh://device", options=QUICK):
    with pytest.raises(kind, match=match) as raised:
        bench_on_device(url, [exported], options)
    assert type(raised.value) is kind and "\n" not in str(raised.value)


def test_no_ssh_here(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    fails(MissingError, "no ssh here: apt install openssh-client", exported, tmp_path)


def test_no_such_host(device, exported, tmp_path):
    fails(MissingError, "no such host", exported, tmp_path, url="ssh://nowhere.invalid")


def test_refused(device, exported, tmp_path):
    device.stop()
    fails(MissingError, "refuses the connection", exported, tmp_path)


def test_key_rejected(device, exported, tmp_path):
    device.client("stranger")
    fails(MissingError, "rejects the key.*ssh-copy-id", exported, tmp_path)


def test_host_key_unknown_and_changed(device, exported, tmp_path):
    device.known.write_text("")
    fails(MissingError, "host key is not known", exported, tmp_path)
    device.known.write_text(f"[127.0.0.1]:{device.port} {(device.folder / 'stranger.pub').read_text()}")
    fails(MissingError, "host key has changed", exported, tmp_path)


def test_no_python_there(device, exported, tmp_path):
    (device.bin / "python3").unlink()
    fails(MissingError, "no python3 on device", exported, tmp_path)


def test_no_numpy_there(device, exported, tmp_path):
    device.python(f'exec {sys.executable} -I -S "$@"')
    fails(MissingError, "On device: No module named .*pip install numpy opencv-python-headless", exported, tmp_path)


def test_no_such_backend_there(device, exported, tmp_path):
    options = DeviceOptions(seconds=0.1, backends=("onnxruntime-tensorrt",))
    fails(MissingError, "On device: .*TensorrtExecutionProvider: pip install", exported, tmp_path, options=options)


def test_what_could_be_measured_is_kept(device, exported, tmp_path, capfd):
    options = DeviceOptions(seconds=0.1, backends=("onnxruntime-cpu", "onnxruntime-tensorrt"), threads=(1, 2))
    measured, failures = bench_on_device("ssh://device", [exported], options)
    assert [one.threads for one in measured] == [1, 2]
    assert len(failures) == 2 and all("device: " in str(one) and "TensorrtExecutionProvider" in str(one) for one in failures)
    assert "device: Not measured: " in capfd.readouterr().err


def test_what_was_measured_is_shown_saved_and_judged_though_a_case_failed(device, exported, tmp_path, edgekd):
    backends = ("--backend", "onnxruntime-cpu,onnxruntime-tensorrt", "--seconds", 0.1)
    files = ("--results", tmp_path / "r.json", "--markdown", tmp_path / "t.md")
    said = edgekd("bench", exported, "--device", "ssh://device", *backends, *files, "--json", code=1)
    assert len(json.loads(said.stdout)) == 1 and "m fp32" in (tmp_path / "t.md").read_text()
    assert f"Error: 1 could not be measured, see above; the others are in {tmp_path}/r.json." in said.stderr
    said = edgekd("bench", exported, "--device", "ssh://device", *backends, *files, "--max-latency-ms", 1e-4, code=4)
    assert "more than the 0.0001 ms" in said.stderr and "m fp32" in said.stdout


def test_a_cut_answer_leaves_earlier_results_alone(device, exported, tmp_path, edgekd):
    device.python(f'case "$1" in -c) exec {sys.executable} -I "$@";; *) {sys.executable} -I "$@" | head -c 300; kill -9 $PPID;; esac')
    (tmp_path / "r.json").write_text("earlier")
    edgekd("bench", exported, "--device", "ssh://device", "--seconds", 0.1, "--results", tmp_path / "r.json", code=1)
    assert (tmp_path / "r.json").read_text() == "earlier"


@pytest.mark.parametrize("option", [("--min-miou", 50), ("--data-root", "elsewhere")])
def test_what_needs_images_there_says_so(option, exported, edgekd):
    assert f"{option[0]} with --device needs --images N" in edgekd("bench", exported, "--device", "ssh://device", *option, code=2).stderr


def test_what_fails_there_is_told(device, exported, tmp_path):
    device.python(f'case "$1" in -c) ;; *) ulimit -f 10;; esac; exec {sys.executable} -I "$@"')
    fails(EdgeKDError, "On device: Can't write .*cache/edgekd/bundles/.*: File too large", exported, tmp_path)


def test_killed_there(device, exported, tmp_path):
    device.python(f'case "$1" in -c) exec {sys.executable} -I "$@";; *) echo half >&2; kill -9 $PPID;; esac')
    fails(EdgeKDError, "connection to device was cut", exported, tmp_path)
