"""`student.pyz`: the runtime, exported models and perhaps labelled images in one file that Python runs."""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from numpy.typing import NDArray

import edgekd_runtime
from edgekd_runtime.artifact import Artifact, find_models, load_artifact
from edgekd_runtime.atomic import atomic
from edgekd_runtime.bundle import IMAGE, LABEL, MANIFEST, SCHEMA_VERSION
from edgekd_runtime.errors import EdgeKDError, UsageError

RUNTIME = Path(edgekd_runtime.__file__).parent
EPOCH = (1980, 1, 1, 0, 0, 0)
"""Of every file inside: the same input gives the same bytes."""


@dataclass(frozen=True)
class Bundled:
    """A bundle that was written.

    Attributes:
        file: Where.
        models: Names of the models inside, as their sidecars call them.
        images: How many labelled images are inside.
        data: Layout and split that the images are of; empty without images.
    """

    file: Path
    models: tuple[str, ...]
    images: int
    data: str


def write_bundle(
    sources: Sequence[Path], out: Path, *, precisions: Sequence[str] = (), images: int = 0, data_root: str | None = None
) -> Bundled:
    """Write a bundle; the same input gives the same bytes.

    Args:
        sources: Runs, folders of exported models, or ``model.onnx`` files. Engines stay out: each device builds its own.
        out: The file.
        precisions: Only these; all where empty.
        images: Put in so many validation images, spread over the split, with their labels.
        data_root: Folder of the data set, where it has moved.

    Raises:
        EdgeKDError: If a source holds no ``model.onnx``, or the file can't be written.
        UsageError: If no model has one of the precisions, or models that shall be scored together have other classes than the first.
    """
    models = dict(_models(sources, precisions))
    artifacts = [load_artifact(file) for file in models.values()]
    if images:
        from edgekd.measure.score import require_same_classes

        require_same_classes(artifacts)
    data = dict(_samples(artifacts[0], images, data_root)) if images else {}
    payload = {f"models/{name}": file.read_bytes() for folder, model in models.items() for name, file in _pair(folder, model)} | data
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "runtime": edgekd_runtime.__version__,
        "images": len(data) // 2,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in payload.items()},
    }
    program = {"__main__.py": Path(__file__).with_name("entry.py").read_bytes()} | dict(_runtime())
    everything = program | {MANIFEST: json.dumps(manifest, indent=2).encode()} | payload
    with atomic(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:  # stored: models do not shrink
        for name, content in sorted(everything.items()):
            archive.writestr(_entry(name), content)
    about = artifacts[0].data
    return Bundled(out, tuple(one.name for one in artifacts), len(data) // 2, f"{about['layout']} {about['split']}" if data else "")


def _models(sources: Sequence[Path], precisions: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """(folder in the bundle, model file): what each source calls it, under the source's number."""
    found = 0
    for number, source in enumerate(path.resolve() for path in sources):
        files = [file for file in find_models(source) if file.suffix == ".onnx"]
        if not files:
            raise EdgeKDError(f"{source} holds no model.onnx, which a device builds its engine from; make one with `edgekd export RUN`.")
        for file in files:
            if precisions and load_artifact(file).precision not in precisions:
                continue
            found += 1
            top = file.parent.parent if file.parent == source or file == source else source
            yield f"{number}/{file.parent.relative_to(top).as_posix()}", file
    if not found:
        raise UsageError(f"No model in {sources[0]} is {' or '.join(precisions)}; export it with `edgekd export RUN --precision`.")


def _pair(folder: str, model: Path) -> Iterator[tuple[str, Path]]:
    for file in (model, model.with_name("model.json")):
        yield f"{folder}/{file.name}", file


def _runtime() -> Iterator[tuple[str, bytes]]:
    for file in RUNTIME.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield f"{RUNTIME.name}/{file.relative_to(RUNTIME).as_posix()}", file.read_bytes()


def _samples(artifact: Artifact, images: int, root: str | None) -> Iterator[tuple[str, bytes]]:
    from edgekd.measure.score import artifact_layout

    layout = artifact_layout(artifact, root=root)
    for number, index in enumerate(layout.spread(images)):
        sample = layout.read(index)
        yield IMAGE.format(number), _png(cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR))
        yield LABEL.format(number), _png(sample.label)


def _png(pixels: NDArray[Any]) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.external_attr = 0o644 << 16
    return entry
