"""The demo's pipeline beside its stages alone, its memory, and overlay and pre-processing beside other ways to write them.

python benchmarks/video.py [--model FILE ...] [--out benchmarks/results/video.json]

Pipeline, on 360×640 video: stages alone and the whole alternate; `share` is the whole's rate over the slowest stage's alone. `wait N ms`
is a network that computes elsewhere, as on a GPU, and leaves the CPU idle for N ms a frame; a model given with --model runs on this CPU,
where stages that all compute can overlap only as far as there are cores. Rates are the best of the rounds, as other work only slows.
Kernels: median CPU time, one thread, of alternating calls on one 720×1280 frame and a 360×480 class map; `difference` is the largest
to the first form's result, in grey levels, and `share_of_best` compares with the fastest form that is within one level.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekd_runtime.backends import open_session
from edgekd_runtime.classes import ClassSet, default_palette
from edgekd_runtime.files import write_json
from edgekd_runtime.image import fit, fit_classes, overlay
from edgekd_runtime.measurement import describe_device
from edgekd_runtime.video import VideoReader, demo, video_writer
from edgekd_runtime.video.draw import Canvas

FRAMES, ROUNDS = 150, 4
VIDEO, SIZE, NETWORK = (360, 640), (720, 1280), (360, 480)
CLASSES = ClassSet(tuple(f"class {number}" for number in range(11)), default_palette(11))
Image = NDArray[np.uint8]


class Waiting:
    """A network that computes elsewhere."""

    def __init__(self, ms: float) -> None:
        self.artifact = type("Sidecar", (), {"name": f"wait {ms:g} ms", "classes": CLASSES})
        self._seconds, self._map = ms / 1e3, class_map()

    def class_map(self, image: Image) -> Image:
        """The same map every time."""
        time.sleep(self._seconds)
        return self._map


def picture(size: tuple[int, int] = SIZE) -> Image:
    """Smooth colours with some noise, as from a camera."""
    random = np.random.default_rng(0)
    smooth = cv2.resize(random.integers(0, 230, (9, 16, 3)).astype(np.uint8), size[::-1], interpolation=cv2.INTER_CUBIC)
    return cv2.add(smooth, random.integers(0, 8, (*size, 3)).astype(np.uint8))


def class_map() -> Image:
    """Blobs of eleven classes."""
    return cv2.resize(np.random.default_rng(1).integers(0, 11, (18, 24)).astype(np.uint8), NETWORK[::-1], interpolation=cv2.INTER_NEAREST)


def record(path: Path, frames: int, size: tuple[int, int]) -> None:
    base = picture(size)
    with video_writer(path, 25, size) as write:
        for number in range(frames):
            write(np.ascontiguousarray(np.roll(base, 4 * number, 1)))


@contextmanager
def clock(into: list[float]) -> Iterator[None]:
    """Add the seconds a frame."""
    begin = time.perf_counter()
    yield
    into.append((time.perf_counter() - begin) / FRAMES)


def pipeline(session: Any, source: Path, target: Path) -> dict[str, Any]:
    """Rates of each stage alone and of the demo, each at its least disturbed."""
    frame = picture(VIDEO)
    canvas = Canvas([session.artifact], VIDEO, 0.5)
    painted = session.class_map(frame)
    times: dict[str, list[float]] = {"decode": [], "network": [], "draw and encode": [], "demo": []}
    for _ in range(ROUNDS):
        with clock(times["decode"]):
            for _ in VideoReader(source):
                pass
        with clock(times["network"]):
            for _ in range(FRAMES):
                session.class_map(frame)
        with clock(times["draw and encode"]), video_writer(target, 25, canvas.image.shape[:2]) as write:
            for _ in range(FRAMES):
                write(canvas.paint(frame, [painted], [["a name  12.3 ms", "12.3 fps  decode 1.0  draw 2.0  write 3.0 ms"]]))
        with clock(times["demo"]):
            demo(session, source, target)
    best = {name: min(seconds) for name, seconds in times.items()}
    alone = [seconds for name, seconds in best.items() if name != "demo"]
    return {
        "network": session.artifact.name,
        "rates": {name: 1 / seconds for name, seconds in best.items()},
        "share": max(alone) / best["demo"],
        "times_faster_than_in_turn": sum(alone) / best["demo"],
    }


def memory(folder: Path) -> dict[str, float]:
    """Growth of the resident memory from frame 200 to frame 2,000."""
    record(folder / "long.avi", 2000, (144, 256))
    resident = {}

    def measure(done: int, total: int) -> None:
        if done in (200, 2000):
            resident[done] = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    demo(Waiting(0), folder / "long.avi", folder / "out.avi", progress=measure)  # type: ignore[arg-type]
    return {"mb_at_200": resident[200], "growth_mb_to_2000": resident[2000] - resident[200]}


def overlays() -> dict[str, Callable[[], Image]]:
    """Ways to colour a class map and blend it over half-opaque."""
    image, small, table = picture(), class_map(), CLASSES.lookup()
    out, half = np.zeros_like(image), (np.arange(256) // 2).astype(np.uint8)

    def large() -> Image:
        return fit_classes(small, SIZE)

    def numpy_blend(colours: Image) -> Image:
        return ((image.astype(np.uint16) + colours + 1) >> 1).astype(np.uint8)

    return {
        "ours": lambda: overlay(image, small, CLASSES, 0.5, out),
        "applyColorMap, addWeighted": lambda: cv2.addWeighted(image, 0.5, cv2.applyColorMap(large(), table[:, None]), 0.5, 0),
        "colour first, resize, addWeighted": lambda: cv2.addWeighted(
            image, 0.5, cv2.resize(cv2.applyColorMap(small, table[:, None]), SIZE[::-1], interpolation=cv2.INTER_NEAREST_EXACT), 0.5, 0
        ),
        "LUT, addWeighted": lambda: cv2.addWeighted(image, 0.5, cv2.LUT(cv2.merge([large()] * 3), table[:, None]), 0.5, 0),
        "LUT, add of halves": lambda: cv2.add(cv2.LUT(image, half), cv2.applyColorMap(large(), (table // 2)[:, None])),
        "NumPy take, 16-bit blend": lambda: numpy_blend(table.take(large(), 0)),
        "copy of the frame": lambda: image.copy(),
    }


def preprocessings() -> dict[str, Callable[[], Image]]:
    """Ways to area-average the frame to the network's rectangle."""
    image = picture()
    rows, columns = (area_weights(SIZE[side], NETWORK[side]) for side in (0, 1))

    def matrices() -> Image:
        across = np.einsum("wx,hxc->hwc", columns, image.astype(np.float32), optimize=True)
        return np.rint(np.tensordot(rows, across, 1)).astype(np.uint8)

    return {
        "ours": lambda: fit(image, NETWORK),
        "INTER_AREA": lambda: cv2.resize(image, NETWORK[::-1], interpolation=cv2.INTER_AREA),
        "NumPy matrices": matrices,
        "INTER_LINEAR (aliases)": lambda: cv2.resize(image, NETWORK[::-1], interpolation=cv2.INTER_LINEAR),
        "copy of the frame": lambda: image.copy(),
    }


def area_weights(source: int, target: int) -> NDArray[np.float32]:
    """Share of each source pixel in each target pixel, target×source."""
    edges = np.arange(target + 1) * source / target
    pixels = np.arange(source)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (covered.clip(0) * target / source).astype(np.float32)


def compare(forms: dict[str, Callable[[], Image]], repeats: int = 31) -> dict[str, Any]:
    """Median milliseconds of each form, and how far its result is from the first's."""
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(repeats):
        for name, form in forms.items():
            begin = time.thread_time()
            form()
            times[name].append(1e3 * (time.thread_time() - begin))
    ms = {name: statistics.median(values[1:]) for name, values in times.items()}
    first = forms["ours"]().astype(int)
    results = {name: form() for name, form in forms.items()}
    differences = {name: int(np.abs(result - first).max()) if result.shape == first.shape else None for name, result in results.items()}
    same = [ms[name] for name, difference in differences.items() if difference is not None and difference <= 1]
    return {"ms": ms, "difference": differences, "share_of_best": min(same) / ms["ours"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="*", default=[], type=Path, help="model.onnx files to run on the CPU, one thread each")
    parser.add_argument("--out", default="benchmarks/results/video.json")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    device = describe_device() | {"opencv": cv2.__version__}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record(folder / "in.avi", FRAMES, VIDEO)
        measure = partial(pipeline, source=folder / "in.avi", target=folder / "out.avi")
        rows = [measure(Waiting(ms)) for ms in (40, 20)]
        for file in arguments.model:
            with open_session(file, threads=1) as session:
                rows.append(measure(session))
        document = {
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "device": device,
            "video": VIDEO,
            "frame": SIZE,
            "network": NETWORK,
            "pipeline": rows,
            "memory": memory(folder),
            "overlay": compare(overlays()),
            "preprocessing": compare(preprocessings()),
        }
    write_json(Path(arguments.out), document)
    print(document)


if __name__ == "__main__":
    main()
