"""The teacher's outputs on disk: what it says of the very same image is computed once."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from edgekd.console import note
from edgekd.models import SegOutput
from edgekd_runtime.atomic import atomic
from edgekd_runtime.errors import EdgeKDError
from edgekd_runtime.files import user_cache

_DIGEST = 16
"""Bytes of a hash: of an image, of the teacher, and of what a file holds."""
_KEPT = ("logits", "features", "aux_logits")


class OutputCache:
    """Outputs by the bytes of the image that they are of, in float16, below the user's cache in a folder that is the teacher's own.

    Images are hashed as they enter the teacher, so another crop or another teacher is another entry and none is ever stale. A file is
    used only if it holds what its own hash says. Every output goes through float16, and every image is computed alone: so a run gives
    the same numbers whatever was kept before.

    Args:
        images: How many different ones the teacher can be shown; more are not kept, for then none comes again.
        limit: Bytes on disk above which nothing more is kept.
        features: Keep the features, because some loss reads them.
    """

    def __init__(self, images: int, limit: float, features: bool) -> None:
        self.images, self.limit, self.features = images, limit, features
        self.hits = self.computed = 0
        self._folder: Path | None = None
        self._bytes = 0

    @property
    def summary(self) -> str:
        """What it was good for."""
        return f"teacher.cache: {self.hits} of {self.hits + self.computed} outputs of the teacher were read, {self.computed} computed"

    def __call__(self, image: Tensor, teacher: nn.Module, about: object, look: Callable[[Tensor], SegOutput]) -> SegOutput:
        """The teacher's output.

        Args:
            image: RGB uint8 B×3×H×W.
            teacher: Its weights.
            about: What else its output depends on; its `repr` counts.
            look: Computes the output of some images.
        """
        if self._folder is None:
            self._open(teacher, f"{about} {image.device.type} {torch.__version__}")
        outputs = [self._one(image[index : index + 1], look) for index in range(len(image))]
        maps = {name: torch.cat([one[name] for one in outputs]).to(image.device).float() for name in outputs[0]}
        return SegOutput(**maps)  # type: ignore[arg-type]  # no boosters

    def _one(self, image: Tensor, look: Callable[[Tensor], SegOutput]) -> dict[str, Tensor]:
        key = _hash(image.cpu().contiguous().numpy().tobytes() + repr(tuple(image.shape)).encode())
        file = Path(str(self._folder)) / key[:2] / key
        found = _read(file)
        if found is not None:
            self.hits += 1
            return found
        output = look(image)
        given = {name: getattr(output, name) for name in _KEPT if name != "features" or self.features}
        maps = {name: value.to(torch.float16).cpu().contiguous() for name, value in given.items() if value is not None}
        self.computed += 1
        self._write(file, maps)
        return maps

    def _write(self, file: Path, maps: dict[str, Tensor]) -> None:
        data = save(maps)
        if self.computed == 1:
            whole = min(self.images * len(data), self.limit)
            note(f"teacher.cache: {len(data) / 1e3:.0f} kB for each of up to {self.images} images, {whole / 1e6:.0f} MB in {self._folder}")
        if self.computed == self.images + 1:
            note("teacher.cache does not help: crops fall at random places, for the shape of the images is not that of data.size")
        if self._bytes + len(data) > self.limit or self.computed > self.images:
            return
        with atomic(file) as temporary:
            temporary.write_bytes(bytes.fromhex(_hash(data)) + data)
        self._bytes += len(data)

    def _open(self, teacher: nn.Module, about: str) -> None:
        """The folder of a teacher's weights and settings, and what is in it already."""
        state = hashlib.blake2b(about.encode(), digest_size=_DIGEST)
        for name, value in sorted(teacher.state_dict().items()):
            state.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            state.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        self._folder = user_cache() / "teacher" / state.hexdigest()
        with suppress(OSError):
            self._bytes = sum(file.stat().st_size for file in self._folder.glob("??/*"))


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=_DIGEST).hexdigest()


def _read(file: Path) -> dict[str, Tensor] | None:
    """What a file holds; None where there is none, or not what was written."""
    try:
        data = file.read_bytes()
        return load(data[_DIGEST:]) if data[:_DIGEST].hex() == _hash(data[_DIGEST:]) else None
    except FileNotFoundError:
        return None
    except (OSError, SafetensorError) as error:
        raise EdgeKDError(f"{file} can't be read ({error}); remove {file.parents[1]}, or leave teacher.cache out.") from error
