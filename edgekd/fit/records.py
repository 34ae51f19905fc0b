"""What was measured already, in a folder: a file a candidate, precision and sweep, named by all that its figures depend on."""

import hashlib
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxslim
import timm
import torch

from edgekd.console import note
from edgekd.fit.candidate import Candidate
from edgekd_runtime import __version__
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.measurement import Measurement, load_results, save_results


@dataclass(frozen=True)
class Records:
    """The folder.

    Attributes:
        folder: Where it is.
        num_classes: C.
        conditions: What else the figures depend on: device, backends, threads, timing.
    """

    folder: Path
    num_classes: int
    conditions: dict[str, Any]

    def models(self, candidate: Candidate) -> Path:
        """Where a candidate's exported files are, until it is measured."""
        return self.folder / "models" / f"{_slug(candidate)}-{_digest(candidate.key, self.num_classes, _tools())}"

    def load(self, candidate: Candidate, precision: str, sweep: int) -> list[Measurement]:
        """What was measured; empty if nothing was, or its file is damaged, which is said."""
        file = self._file(candidate, precision, sweep)
        if not file.is_file():
            return []
        try:
            return load_results(file)
        except EdgeKDError as error:
            note(f"{file} is damaged ({error}); {candidate.model.name} is measured again.")
            return []

    def save(self, candidate: Candidate, sweep: int, measured: Sequence[Measurement]) -> None:
        """Keep what was measured, each precision by itself."""
        for precision in {one.artifact.precision for one in measured}:
            members = [one for one in measured if one.artifact.precision == precision]
            save_results(self._file(candidate, precision, sweep), members)

    def drop_models(self, candidate: Candidate) -> None:
        """Remove exported files that nobody needs any more."""
        shutil.rmtree(self.models(candidate), ignore_errors=True)

    def drop_all_models(self) -> None:
        """Remove the exported files of every candidate, those of runs that were killed among them."""
        shutil.rmtree(self.folder / "models", ignore_errors=True)

    def clear(self) -> None:
        """Forget everything."""
        for part in ("models", "measured"):
            shutil.rmtree(self.folder / part, ignore_errors=True)

    def _file(self, candidate: Candidate, precision: str, sweep: int) -> Path:
        digest = _digest(candidate.key, self.num_classes, _tools(), precision, self.conditions)
        return self.folder / "measured" / f"{_slug(candidate)}-{precision}-{digest}-{sweep + 1}.json"


def _tools() -> dict[str, str]:
    """What the graph depends on."""
    made_by = {"timm": timm.__version__, "onnx": onnx.__version__, "onnxslim": onnxslim.__version__}
    return {"edgekd": __version__, "torch": torch.__version__, **made_by}


def _slug(candidate: Candidate) -> str:
    """A file name for people."""
    height, width = candidate.size
    return f"{re.sub('[^A-Za-z0-9_.-]+', '-', candidate.model.name)[-80:]}-{height}x{width}"


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
