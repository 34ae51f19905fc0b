"""`demo`."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edgekd_runtime.artifact import find_models, only_model
from edgekd_runtime.backends import BACKENDS, open_session
from edgekd_runtime.bundle import Bundle
from edgekd_runtime.cli.options import Progress, at_least, between
from edgekd_runtime.errors import BrokenStreamError, UsageError
from edgekd_runtime.trt import host_code
from edgekd_runtime.video import Frame, demo
from edgekd_runtime.video.serve import is_loopback, parse_address, serve
from edgekd_runtime.video.tiles import parse_tiles
from edgekd_runtime.video.writer import SUFFIXES

HELP = "overlay video from a video, into a file or live in the browser"
SOURCES = (
    "Video file, folder of images, quoted pattern such as 'frames/*.png', number of a camera, csi:NUMBER[@HxW] for a Jetson's own camera, "
    "gst:'PIPELINE' for GStreamer, or URL of a stream."
)


def arguments(parser: argparse.ArgumentParser, bundle: Bundle | None) -> None:
    """Its flags."""
    parser.add_argument("video", help=SOURCES)
    named = " or its name in the bundle, e.g. int8; the engine built last, else fp32, by default" if bundle else ""
    parser.add_argument("--model", required=bundle is None, help=f"model file{named}")
    parser.add_argument("--compare", metavar="MODEL", help="a second model, drawn beside the first")
    parser.add_argument("--out", type=Path, help=f"video to write: {', '.join(SUFFIXES)}")
    parser.add_argument(
        "--serve", metavar="[HOST:]PORT", help="show the video live in the browser; without HOST reachable from this machine only"
    )
    parser.add_argument(
        "--smooth", type=between(0.5, 1, inside=True), default=0.0, help="temporal smoothing: weight of the past per frame, e.g. 0.8"
    )
    parser.add_argument("--opacity", type=between(0, 1), default=0.5, help="opacity of the class colours, 0-1")
    parser.add_argument("--fps", type=between(0.1, 1000), help="frame rate of images, a camera or a stream, per second")
    parser.add_argument("--tiles", metavar="RxC", help="split each frame into rows x columns of overlapping tiles, e.g. 2x2")
    parser.add_argument(
        "--reconnect",
        type=between(0, 86400),
        default=0.0,
        metavar="SECONDS",
        help="seconds to try to reopen a camera or stream that breaks",
    )
    parser.add_argument("--backend", choices=BACKENDS, help="backend that runs the model; the file's usual one by default")
    parser.add_argument("--threads", type=at_least(0), default=0, help="CPU threads; 0 = the backend's default")
    parser.add_argument(host_code.FLAG, action="store_true", help=host_code.HELP)


def run(given: argparse.Namespace) -> None:
    """Paint it.

    Raises:
        UsageError: If there is nothing to write or to show it on, or a folder holds several models.
    """
    if given.allow_host_code:
        host_code.allow()
    if given.out is None and given.serve is None:
        raise UsageError("Nothing to do with the frames; give --out FILE, --serve PORT, or both.")
    shown = Progress()
    tiles = parse_tiles(given.tiles) if given.tiles else (1, 1)
    with ExitStack() as stack:
        show = stack.enter_context(live_page(given.serve)) if given.serve else None
        models = _models(given.bundle, [given.model, given.compare] if given.compare else [given.model])
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
                tiles=tiles,
                reconnect_s=given.reconnect,
                show=show,
                progress=lambda done, total: shown("demo", done, total),
            )
    print(f"{given.out or given.video}: {frames} frames, {rate:.1f} a second (decode, network, drawing and encoding together)")


def _models(bundle: Bundle | None, names: Sequence[str | None]) -> list[Path]:
    """The files; what a bundle's default is, is said."""
    if bundle is None:
        return [only_model(name) for name in names if name]
    files = [only_model(name) if name and Path(name).exists() else bundle.model(name) for name in names]
    others = [file.parent.name for file in find_models(bundle.models) if file != files[0]]
    if names[0] is None and others:
        print(f"Model: {files[0].parent.name}; the bundle also has {', '.join(others)} (--model NAME)", file=sys.stderr, flush=True)
    return files


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
    """Say on stderr what Ctrl-C or a broken stream left, and let it go on."""
    before = _state(out)
    try:
        yield
    except (KeyboardInterrupt, BrokenStreamError):
        kept = f"{out} plays up to here" if _state(out) != before else "nothing was written"
        with suppress(OSError):  # a terminal that is gone ends it, too
            print(f"Interrupted; {kept}.", file=sys.stderr)
        raise


def _state(file: Path | None) -> tuple[int, int] | None:
    """What changes when a file is replaced; None where there is none."""
    if file is None or not file.exists():
        return None
    about = file.stat()
    return about.st_ino, about.st_mtime_ns
