"""The demo: decode, network, and drawing with encoding, each at work on another frame."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, nullcontext, suppress
from pathlib import Path
from typing import Any

from edgekd_runtime.backends.base import Session
from edgekd_runtime.errors import UsageError
from edgekd_runtime.video.draw import Canvas
from edgekd_runtime.video.info import Frame, FrameSource
from edgekd_runtime.video.pipeline import StageTimes, ahead, behind
from edgekd_runtime.video.reconnect import Reconnecting
from edgekd_runtime.video.smooth import Smoother
from edgekd_runtime.video.sources import VideoReader, open_frames
from edgekd_runtime.video.tiles import Tiled
from edgekd_runtime.video.writer import video_writer

Show = Callable[[Frame], object]


def _say(words: str) -> None:
    print(words, file=sys.stderr)


def demo(
    session: Session,
    source: str | Path,
    target: str | Path | None,
    *,
    compare: Session | None = None,
    opacity: float = 0.5,
    smooth: float = 0.0,
    fps: float | None = None,
    tiles: tuple[int, int] = (1, 1),
    reconnect_s: float = 0.0,
    show: Show | None = None,
    progress: Callable[[int, int], None] | None = None,
    warn: Callable[[str], object] = _say,
) -> tuple[int, float]:
    """Write the overlay video of `source`, show it, or both.

    On Ctrl-C, and when a camera or a stream breaks, what was written so far stays, playable; of a source without an end Ctrl-C is the
    end, and a break is an error.

    Args:
        session: Model that segments every frame.
        source: As `open_frames` takes it.
        target: As `video_writer` takes it; none where None, and a file is then shown at its own pace.
        compare: A second model, drawn at the right of the first.
        opacity: Of the colours, 0–1.
        smooth: Memory of the votes over time, see `Smoother`; 0 = none.
        fps: Frame rate of images, a camera or a stream; a video file has its own.
        tiles: (rows, columns) that each frame is cut into; (1, 1) = the network sees it whole, resized.
        reconnect_s: Seconds to try to open a camera or a stream again when it breaks.
        show: Called with each drawn RGB frame, which the next one overwrites.
        progress: Called with (frames done, frames in all or 0).
        warn: Called with a sentence when the source ends before its announced length, breaks and comes back, or what is written
            lacks something.

    Returns:
        Frames drawn, and frames a second (decode, network, drawing and encode together).

    Raises:
        UsageError: If there is neither a file to write nor anything to show frames on, or the file is the source.
        EdgeKDError: If the source can't be opened, or breaks; or the target can't be written.
        KeyboardInterrupt: On Ctrl-C before the end of a file.
    """
    if target is None and show is None:
        raise UsageError("The demo's frames go nowhere; name a file to write, or serve them.")
    if target is not None and Path(target).exists() and Path(source).exists() and Path(target).samefile(source):
        raise UsageError(f"{target} is the video itself, which the overlay would replace; name another file to write.")
    reader = open_frames(source, fps, reconnect_s, warn)
    models = [one if tiles == (1, 1) else Tiled(one, *tiles) for one in (session, compare) if one is not None]
    player = _Player(models, reader, opacity, smooth)
    outputs: list[Show] = [show] if show is not None else []
    interrupted = suppress(KeyboardInterrupt) if reader.info.endless else nullcontext()
    with closing(reader), interrupted, ExitStack() as stack:
        if target is not None:
            size = player.canvas.image.shape
            sound = Path(source) if isinstance(reader, VideoReader) else None
            outputs.append(stack.enter_context(video_writer(target, reader.info.fps, (size[0], size[1]), sound, warn)))
        decoded = player.times.timed("decode", reader)
        player.play(paced(decoded, reader.info.fps) if target is None and not reader.info.endless else decoded, outputs, progress)
        if player.count < reader.info.frames - 1:  # the last one is often miscounted
            warn(f"{source} ends after {player.count} of the {reader.info.frames} frames that it announces; those are all here.")
    return player.count, player.count / (time.perf_counter() - player.begin)


def paced(frames: Iterable[Frame], fps: float) -> Iterator[Frame]:
    """The frames, none before its time."""
    begin = time.perf_counter()
    for number, frame in enumerate(frames):
        time.sleep(max(0.0, begin + number / fps - time.perf_counter()))
        yield frame


class _Player:
    def __init__(self, sessions: Sequence[Session | Tiled], reader: FrameSource, opacity: float, smooth: float) -> None:
        self.sessions, self.total = sessions, reader.info.frames
        self.leave: Callable[[], object] = reader.leave if isinstance(reader, Reconnecting) else lambda: None
        self.canvas = Canvas([one.artifact for one in sessions], reader.info.size, opacity)
        self.smoothers = [Smoother(len(one.artifact.classes), smooth) if smooth else None for one in sessions]
        self.times = StageTimes()
        self.count, self.begin = 0, time.perf_counter()
        self.done: deque[float] = deque([self.begin], maxlen=20)

    def play(self, frames: Iterable[Frame], outputs: Sequence[Show], progress: Callable[[int, int], None] | None) -> None:
        def draw(item: tuple[Frame, list[Any]]) -> None:
            notes = self._notes()
            with self.times.stage("draw"):
                image = self.canvas.paint(*item, notes)
            with self.times.stage("write"):
                for output in outputs:
                    output(image)
            self.count += 1
            self.done.append(time.perf_counter())
            if progress is not None:
                progress(self.count, self.total)

        with ahead(frames, leave=self.leave) as waiting, behind(draw) as hand_on:
            for frame in waiting:
                hand_on((frame, [self._segment(place, frame) for place in range(len(self.sessions))]))

    def _segment(self, place: int, frame: Frame) -> Frame:
        with self.times.stage(f"network {place}"):
            class_map = self.sessions[place].class_map(frame)
        smoother = self.smoothers[place]
        return smoother(class_map) if smoother else class_map

    def _notes(self) -> list[list[str]]:
        """The model's name and time over each half; the other stages over the first."""
        notes = [[f"{one.artifact.name}  {self.times.ms(f'network {place}'):.1f} ms"] for place, one in enumerate(self.sessions)]
        rate = (len(self.done) - 1) / (self.done[-1] - self.done[0] or 1.0)
        others = "  ".join(f"{name} {self.times.ms(name):.1f}" for name in ("decode", "draw", "write"))
        notes[0].append(f"{rate:.1f} fps  {others} ms")
        return notes
