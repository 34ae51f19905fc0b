"""`demo`."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgekd_runtime.artifact import only_model
from edgekd_runtime.backends import BACKENDS, open_session
from edgekd_runtime.bundle import Bundle
from edgekd_runtime.cli.options import Progress, at_least, between
from edgekd_runtime.errors import UsageError
from edgekd_runtime.video import Frame, demo
from edgekd_runtime.video.serve import is_loopback, parse_address, serve

HELP = "overlay video from a video, into a file or live in the browser"


def arguments(parser: argparse.ArgumentParser, bundle: Bundle | None) -> None:
    """Its flags."""
    parser.add_argument("video", help="video file, folder of images, number of a camera, or URL of a stream")
    parser.add_argument("--model", type=Path, required=bundle is None, default=bundle.models if bundle else None)
    parser.add_argument("--compare", type=Path, metavar="MODEL", help="drawn beside the first")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve", metavar="[HOST:]PORT", help="show it live in the browser; to this machine alone without HOST")
    parser.add_argument("--smooth", type=between(0.5, 1, inside=True), default=0.0, help="steady the classes over time, e.g. 0.8")
    parser.add_argument("--opacity", type=between(0, 1), default=0.5, help="of the colours")
    parser.add_argument("--fps", type=between(0.1, 1000), help="frame rate of images, a camera or a stream")
    parser.add_argument("--backend", choices=BACKENDS)
    parser.add_argument("--threads", type=at_least(0), default=0, help="CPU threads; 0 = the backend's default")


def run(given: argparse.Namespace) -> None:
    """Paint it.

    Raises:
        UsageError: If there is nothing to write or to show it on, or a folder holds several models.
    """
    if given.out is None and given.serve is None:
        raise UsageError("Nothing to do with the frames; give --out FILE, --serve PORT, or both.")
    shown = Progress()
    with ExitStack() as stack:
        show = stack.enter_context(live_page(given.serve)) if given.serve else None
        models = [only_model(path) for path in (given.model, given.compare) if path]
        sessions = [stack.enter_context(open_session(file, given.backend, given.threads)) for file in models]
        with told_interruption(given.out):
            frames, rate = demo(
                sessions[0],
                given.video,
                given.out,
                compare=sessions[1] if given.compare else None,
                opacity=given.opacity,
                smooth=given.smooth,
                fps=given.fps,
                show=show,
                progress=lambda done, total: shown("demo", done, total),
            )
    print(f"{given.out or given.video}: {frames} frames, {rate:.1f} a second (decode, network, drawing and encoding together)")


@contextmanager
def live_page(address: str) -> Iterator[Callable[[Frame], object]]:
    """The page, announced on stderr, with a warning where others can open it."""
    host, port = parse_address(address)
    with serve((host, port)) as (live, url):
        print(f"Live at {url}", file=sys.stderr, flush=True)
        if not is_loopback(host):
            print(f"Warning: anyone who can reach {host} on the network can watch; leave HOST out for this machine alone.", file=sys.stderr)
        yield live.show


@contextmanager
def told_interruption(out: Path | None) -> Iterator[None]:
    """Say on stderr what Ctrl-C left, and let it go on."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"Interrupted; {f'{out} plays up to here' if out else 'nothing was written'}.", file=sys.stderr)
        raise
