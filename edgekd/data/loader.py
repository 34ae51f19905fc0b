"""Batches by position: sample `k` of a run depends on the seed and `k` alone, also whether it is labelled.

So the images do not change with the number of workers or processes, and a resumed run goes on exactly where it stopped.
"""

import os
import signal
from collections.abc import Iterator
from functools import lru_cache
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from edgekd.config import DataRecipe, TrainRecipe
from edgekd.data.balance import RareClasses, count_pixels
from edgekd.data.frames import Frames
from edgekd.data.layout import Layout, Sample
from edgekd.data.transforms import Pair, Transform, train_transform
from edgekd_runtime.classes import IGNORE
from edgekd_runtime.errors import EdgeKDError

Batch = list[torch.Tensor | list[int]]


class TrainSet(Dataset[Pair]):
    """Augmented samples by position in the run.

    Args:
        layout: Where images and labels come from.
        data: Augmentation.
        seed: Of order and augmentation.
        frames: Unlabelled images; None = none.
    """

    def __init__(self, layout: Layout, data: DataRecipe, seed: int, frames: Frames | None = None) -> None:
        self._layout, self._transform, self._seed, self._share = layout, train_transform(data), seed, data.rare
        self.frames, self._unlabelled = frames, data.share
        if data.rare:
            self._rare = RareClasses(count_pixels(layout, data))
            self._rare_transform = train_transform(data, torch.from_numpy(self._rare.chances))

    def __getitem__(self, position: int) -> Pair:
        sample, transform = self._chosen(position)
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(int(np.random.SeedSequence([self._seed, position]).generate_state(1, np.uint64)[0] >> 1))
        pair = transform(sample)
        torch.set_rng_state(before)
        return pair

    def is_unlabelled(self, position: int) -> bool:
        """Whether an unlabelled image has this position; they are spread evenly, so that any part of a batch has its share of them."""
        return self.frames is not None and self._unlabelled_before(position) < self._unlabelled_before(position + 1)

    def _unlabelled_before(self, position: int) -> int:
        return position * self._unlabelled.numerator // self._unlabelled.denominator if self.frames is not None else 0

    def _chosen(self, position: int) -> tuple[Sample, Transform]:
        """Which sample, and how it is cut: in turn and anywhere, or for a rare class."""
        before = self._unlabelled_before(position)
        if self.frames is not None and self.is_unlabelled(position):
            image = self.frames.read(self._in_turn(before, len(self.frames), 2))
            return Sample(image, np.full(image.shape[:2], IGNORE, np.uint8)), self._transform
        generator = np.random.default_rng([self._seed, position, 1])
        if self._share and generator.random() < self._share and (rare := self._rare.draw(generator)) is not None:
            return self._layout.read(rare), self._rare_transform
        return self._layout.read(self._in_turn(position - before, len(self._layout))), self._transform

    def _in_turn(self, number: int, length: int, *stream: int) -> int:
        epoch, offset = divmod(number, length)
        return int(_order(length, self._seed, epoch, *stream)[offset])

    def __getitems__(self, positions: list[int]) -> "list[Pair] | Mixed | EdgeKDError":
        try:
            pairs = [self[position] for position in positions]
        except EdgeKDError as error:  # raised again by `checked`: from a worker it would come with a traceback in its message
            return error
        if self.frames is None:
            return pairs
        return Mixed(pairs, [index for index, position in enumerate(positions) if not self.is_unlabelled(position)])


class Mixed(NamedTuple):
    """Samples of a batch, and which of them have labels."""

    pairs: list[Pair]
    labelled: list[int]


@lru_cache(maxsize=4)
def _order(length: int, *seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(length)


class Positions:
    """The batches that one process sees: lists of positions, from step `start` to the end.

    Args:
        train: Batch size, accumulation and steps.
        start: First step.
        rank, world: Of this process.

    Every micro-batch of the step is a contiguous run of positions, dealt out evenly over the processes.
    """

    def __init__(self, train: TrainRecipe, start: int, rank: int, world: int) -> None:
        self._train, self._start, self._rank, self._world = train, start, rank, world

    def __iter__(self) -> Iterator[list[int]]:
        part = self._train.batch_size // self._train.accumulate
        local = part // self._world
        for micro_step in range(self._start * self._train.accumulate, self._train.steps * self._train.accumulate):
            first = micro_step * part + self._rank * local
            yield list(range(first, first + local))

    def __len__(self) -> int:
        return (self._train.steps - self._start) * self._train.accumulate


def train_loader(
    layout: Layout,
    data: DataRecipe,
    train: TrainRecipe,
    *,
    frames: Frames | None = None,
    start: int = 0,
    rank: int = 0,
    world: int = 1,
) -> DataLoader[Pair]:
    """Batches of (uint8 B×3×H×W, uint8 B×H×W) from step `start` on; pass each through `checked`.

    With unlabelled `frames` a third item lists the images of the batch that have labels; labels of the others are all ignored.
    """
    workers = default_workers() if data.workers is None else data.workers
    return DataLoader(
        TrainSet(layout, data, train.seed, frames),
        batch_sampler=Positions(train, start, rank, world),
        num_workers=workers,
        prefetch_factor=2 if workers else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_begin_worker,
        collate_fn=_collate,
        generator=torch.Generator(),  # its base seed is never used; without this it would be drawn from the run's own
    )


def default_workers() -> int:
    """A core for each, but one that every training process of this machine keeps for itself."""
    processes = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    return max(1, len(os.sched_getaffinity(0)) // processes - 1)


def _collate(samples: list[Pair] | Mixed | EdgeKDError) -> Batch | EdgeKDError:
    if isinstance(samples, EdgeKDError):
        return samples
    if isinstance(samples, Mixed):
        return [*default_collate(samples.pairs), samples.labelled]
    return default_collate(samples)


def checked(batch: Batch | EdgeKDError) -> Any:
    """A batch, or the error that stopped its making.

    Raises:
        EdgeKDError: If a sample can't be read; names the file.
    """
    if isinstance(batch, EdgeKDError):
        raise batch
    return batch


def _begin_worker(worker: int) -> None:
    import cv2

    _leave_ending_to_the_training()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _leave_ending_to_the_training() -> None:
    """A terminal, systemd or a scheduler signals this process too, but the training decides when it ends; its own SIGTERM does that."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if not hasattr(signal, "sigwaitinfo"):  # which macOS lacks
        return
    training = os.getppid()

    def wait() -> None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != training:
            pass
        os._exit(0)

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    Thread(target=wait, daemon=True).start()
