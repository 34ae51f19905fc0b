"""A benchmark on another machine: the bundle goes there, the results come back."""

import json
import re
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.console import progress
from edgekd.device.bundle import write_bundle
from edgekd.device.copy import copy_to
from edgekd.device.ssh import Target
from edgekd_runtime.cli.bench import NOT_MEASURED
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.measurement import Measurement, read_measurements


@dataclass(frozen=True)
class DeviceOptions:
    """What is measured there.

    Attributes:
        backends: What runs the models; all that are installed there and suit a file where empty.
        threads: Numbers of CPU threads, 0 = the backend's default; each is measured.
        batches: Numbers of images a call; each is measured.
        seconds: At least this long a model and stage.
        power: Source of power there, or None.
        idle_s: Seconds at rest, whose power is subtracted.
        trt: Build TensorRT engines there and measure them too.
        images: Validation images that go there with their labels, for mIoU; 0 = latency only.
        data_root: Folder of the data set here, where it has moved.
        no_tf32: FP32 products without TF32 on a GPU there.
        network_only: Time the bare network call alone.
    """

    backends: tuple[str, ...] = ()
    threads: tuple[int, ...] = (0,)
    batches: tuple[int, ...] = (1,)
    seconds: float = 3.0
    power: str | None = None
    idle_s: float = 0.0
    trt: bool = False
    images: int = 0
    data_root: str | None = None
    no_tf32: bool = False
    network_only: bool = False

    def arguments(self) -> list[str]:
        """The words after ``bench``."""
        repeated = {"--backend": self.backends, "--threads": self.threads, "--batch": self.batches}
        once = {"--seconds": self.seconds, "--idle-seconds": self.idle_s} | ({"--power": self.power} if self.power else {})
        flags = [(name, value) for name, values in repeated.items() for value in values] + list(once.items())
        given = {"--trt": self.trt, "--no-tf32": self.no_tf32, "--network-only": self.network_only}
        return [*(str(word) for flag in flags for word in flag), *(name for name, on in given.items() if on)]


def bench_on_device(url: str, models: Sequence[Path], options: DeviceOptions) -> tuple[list[Measurement], list[EdgeKDError]]:
    """Measure models on another machine; what it says meanwhile is shown on stderr.

    Args:
        url: ``ssh://[user@]host[:port]``.
        models: Runs, folders of exported models, or ``model.onnx`` files.
        options: What is measured.

    Returns:
        The measurements, and what could not be measured.

    Raises:
        UsageError: If the URL is wrong, or the device's runtime refuses the options.
        MissingError: If the device can't be reached, or lacks Python, a library or a backend; says how to get it.
        EdgeKDError: If the connection is cut, the disk there is full, or nothing can be measured there.
    """
    target = Target.parse(url)
    with tempfile.TemporaryDirectory() as folder, progress(f"copy to {target.host}") as update:
        bundle = Path(folder, "models.pyz")
        write_bundle(models, bundle, images=options.images, data_root=options.data_root)
        there = copy_to(target, bundle, update)
    text, said, failure = _run(target, ["python3", there, "bench", *options.arguments(), "--results", "-"])
    measured = _measurements(text)
    if not measured:
        raise failure or EdgeKDError(f"{target.host} answered without results; run the same command again.")
    failures = [EdgeKDError(f"{target.host}: {line.removeprefix(NOT_MEASURED)}") for line in said if line.startswith(NOT_MEASURED)]
    if failure and not failures:
        print(f"{target.host}: {failure}", file=sys.stderr, flush=True)
        failures = [failure]
    return measured, failures


def device_facts(url: str) -> dict[str, Any]:
    """What the figures of a machine depend on: system, Python, cores, versions of the libraries that run models.

    Args:
        url: ``ssh://[user@]host[:port]``.

    Raises:
        UsageError: If the URL is wrong.
        MissingError: If the device can't be reached, or has no Python.
        EdgeKDError: If it does not answer.
    """
    target = Target.parse(url)
    program = Path(__file__).with_name("facts.py").read_text(encoding="utf-8")
    text, _, failure = _run(target, ["python3", "-c", program])
    for line in reversed(text.splitlines()):
        with suppress(ValueError):  # a login shell may speak before and after
            facts = json.loads(line)
            if isinstance(facts, dict):
                return facts
    raise failure or EdgeKDError(f"{target.host} answered without saying what it is; run the same command again.")


def _measurements(text: str) -> list[Measurement]:
    """The results document in what a machine said on stdout, where a login shell may speak before and after; none if it is cut."""
    for start in re.finditer(r"^\{$", text, re.MULTILINE):
        try:
            document, _ = json.JSONDecoder().raw_decode(text, start.start())
        except ValueError:
            continue
        return read_measurements(document, "What the device said")
    return []


def _run(target: Target, words: Sequence[str]) -> tuple[str, list[str], EdgeKDError | None]:
    """Stdout and stderr lines of a program there, and how it failed; stderr is shown as it comes."""
    said: list[str] = []
    with tempfile.TemporaryFile() as output:
        with target.start(words, output) as there:
            assert there.stdin and there.stderr  # for the type checker: both are pipes
            there.stdin.close()
            for line in there.stderr:
                said.append(line.decode(errors="replace").rstrip())
                if not said[-1].startswith("Error: "):
                    print(f"{target.host}: {said[-1]}", file=sys.stderr, flush=True)
            status = there.wait()
        output.seek(0)
        failure = target.failure(status, "\n".join(said)) if status else None
        return output.read().decode(errors="replace").replace("\r\n", "\n"), said, failure
