"""A camera or a stream that comes back after it broke."""

import time
from collections.abc import Callable, Iterator
from threading import Event

import cv2

from edgekd_runtime.errors import BrokenStreamError, EdgeKDError
from edgekd_runtime.video.info import Frame, FrameSource

PAUSE_S = 1.0


class Reconnecting:
    """The frames of an endless source, opened again each time that it ends.

    Args:
        name: What the source is called in messages.
        source: The source, open.
        open_again: Opens it; raises EdgeKDError while it can't be.
        patience_s: Seconds to try before it counts as broken; 0 = it does at once.
        say: Told in a sentence when it broke and when it is back.
    """

    def __init__(
        self, name: str, source: FrameSource, open_again: Callable[[], FrameSource], patience_s: float, say: Callable[[str], object]
    ) -> None:
        self._name, self._source, self._open, self._patience, self._say = name, source, open_again, patience_s, say
        self._left = Event()
        self.info = source.info

    def __iter__(self) -> Iterator[Frame]:
        while True:
            try:
                for frame in self._source:
                    if frame.shape[:2] != self.info.size:  # it may come back in another size
                        frame = cv2.resize(frame, self.info.size[::-1], interpolation=cv2.INTER_AREA)
                    yield frame
                reason = "it ended"
            except BrokenStreamError as error:
                reason = str(error).rstrip(".")
            self._source.close()
            self._reopen(reason)

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def leave(self) -> None:
        """Stop waiting for it to come back; from another thread than the one that reads."""
        self._left.set()

    def _reopen(self, reason: str) -> None:
        begin = time.monotonic()
        if self._patience:
            self._say(f"{self._name} broke ({reason}); trying for {self._patience:g} seconds to open it again.")
        while time.monotonic() - begin < self._patience and not self._left.is_set():
            try:
                self._source = self._open()
            except EdgeKDError:
                self._left.wait(min(PAUSE_S, self._patience))
            else:
                self._say(f"{self._name} is back.")
                return
        mend = "could not be opened again" if self._patience else "--reconnect SECONDS opens it again"
        raise BrokenStreamError(f"{self._name} broke ({reason}); {mend}.")
