"""Stages that overlap: one thread ahead of the caller, one behind it, with short queues between them.

The caller's own thread keeps the network, because a CUDA context belongs to the thread that opened it. OpenCV and the backends
release Python's lock while they work, so the three run side by side. Queues are bounded: the slowest stage sets the pace, and
memory stays flat.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

T = TypeVar("T")
DEPTH = 2
"""Items that wait between two stages: one in hand, one to even out the difference."""
_END = object()


@contextmanager
def ahead(source: Iterable[T], depth: int = DEPTH, leave: Callable[[], object] = lambda: None) -> Iterator[Iterator[T]]:
    """Yield the items of `source` in order, read by a thread that stays at most `depth` ahead.

    Args:
        source: Of the items.
        depth: How many may wait.
        leave: Called when the caller has enough, so that a source that waits for something gives up.

    Raises:
        BaseException: What `source` raised, after the items before it.
    """
    ready: Queue[Any] = Queue(depth)
    stop = Event()
    failure: list[BaseException] = []

    def offer(item: object) -> None:
        while not stop.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except Full:
                continue

    def read() -> None:
        try:
            for item in source:
                offer(item)
                if stop.is_set():
                    return
        except BaseException as error:
            failure.append(error)
        offer(_END)

    def items() -> Iterator[T]:
        while (item := ready.get()) is not _END:
            yield item
        if failure:
            raise failure[0]

    thread = Thread(target=read, daemon=True)
    thread.start()
    try:
        yield items()
    finally:
        stop.set()
        leave()
        thread.join()


@contextmanager
def behind(call: Callable[[T], object], depth: int = DEPTH) -> Iterator[Callable[[T], None]]:
    """Yield a function that hands an item to a thread, which calls `call` on each in order; leaving waits for the last.

    Raises:
        BaseException: What `call` raised, at the next item or on leaving; nothing is called after it.
    """
    waiting: Queue[Any] = Queue(depth)
    failure: list[BaseException] = []

    def work() -> None:
        while (item := waiting.get()) is not _END:
            if not failure:
                try:
                    call(item)
                except BaseException as error:
                    failure.append(error)

    def put(item: T) -> None:
        if failure:
            raise failure[0]
        waiting.put(item)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield put
    finally:
        waiting.put(_END)
        thread.join()
    if failure:
        raise failure[0]


class StageTimes:
    """What each stage took lately: the mean of its last `span` calls."""

    def __init__(self, span: int = 20) -> None:
        self._span = span
        self._recent: dict[str, deque[float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is inside."""
        begin = time.perf_counter()
        yield
        self._recent.setdefault(name, deque(maxlen=self._span)).append(time.perf_counter() - begin)

    def ms(self, name: str) -> float:
        """Milliseconds; 0 before the first call."""
        recent = list(self._recent.get(name, ()))
        return 1e3 * sum(recent) / len(recent) if recent else 0.0

    def timed(self, name: str, source: Iterable[T]) -> Iterator[T]:
        """The items of `source`, each fetched under the stage's clock."""
        iterator = iter(source)
        while True:
            with self.stage(name):
                item = next(iterator, _END)
            if item is _END:
                return
            yield item  # type: ignore[misc]  # the sentinel is gone
