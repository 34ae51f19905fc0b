"""`demo`."""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from edgekd_runtime.artifact import find_models
from edgekd_runtime.backends import BACKENDS, open_session
from edgekd_runtime.bundle import Bundle
from edgekd_runtime.cli.options import Progress
from edgekd_runtime.errors import UsageError
from edgekd_runtime.video import Frame, demo
from edgekd_runtime.video.serve import parse_address, serve

HELP = "overlay video from a video, into a file or live in the browser"


def arguments(parser: argparse.ArgumentParser, bundle: Bundle | None) -> None:
    """Its flags."""
    parser.add_argument("video", help="video file, folder of images, number of a camera, or URL of a stream")
    parser.add_argument("--model", type=Path, required=bundle is None, default=bundle.models if bundle else None)
    parser.add_argument("--compare", type=Path, metavar="MODEL", help="drawn beside the first")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--serve", metavar="[HOST:]PORT", help="show it live in the browser; to this machine alone without HOST")
    parser.add_argument("--backend", choices=BACKENDS)
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = the backend's default")


def run(given: argparse.Namespace) -> None:
    """Paint it.

    Raises:
        UsageError: If there is nothing to write or to show it on, or a folder holds several models.
    """
    if given.out is None and given.serve is None:
        raise UsageError("Nothing to do with the frames; give --out FILE, --serve PORT, or both.")
    shown = Progress()
    with ExitStack() as stack:
        show = stack.enter_context(_live(given.serve)) if given.serve else None
        models = [_only(path) for path in (given.model, given.compare) if path]
        sessions = [stack.enter_context(open_session(file, given.backend, given.threads)) for file in models]
        frames, rate = demo(
            sessions[0],
            given.video,
            given.out,
            compare=sessions[1] if given.compare else None,
            show=show,
            progress=lambda done, total: shown("demo", done, total),
        )
    print(f"{given.out or given.video}: {frames} frames, {rate:.1f} a second")


@contextmanager
def _live(address: str) -> Iterator[Callable[[Frame], object]]:
    with serve(parse_address(address)) as (live, url):
        print(f"Live at {url}", file=sys.stderr, flush=True)
        yield live.show


def _only(path: Path) -> Path:
    files = find_models(path)
    if len(files) > 1:
        raise UsageError(f"{path} holds {len(files)} models; name one of them, e.g. {files[0]}.")
    return files[0]
