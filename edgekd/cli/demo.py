"""`edgekd demo`."""

from contextlib import ExitStack
from pathlib import Path

import click

from edgekd.cli.options import Number


@click.command()
@click.argument("video")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="Exported model.onnx, or the folder that holds it.")
@click.option("--compare", type=click.Path(path_type=Path), help="A second model, drawn beside the first.")
@click.option("--out", type=click.Path(path_type=Path), help="Video to write: .mp4, .mov, .mkv, .webm or .avi.")
@click.option(
    "--serve", "address", metavar="[HOST:]PORT", help="Show the video live in the browser; without HOST reachable from this machine only."
)
@click.option(
    "--smooth", type=Number(0.5, 1, True, True), help="Temporal smoothing of the class map: weight of the past per frame, e.g. 0.8."
)
@click.option("--opacity", type=Number(0, 1), default=0.5, show_default=True, help="Opacity of the class colours, 0-1.")
@click.option("--fps", type=Number(0.1, 1000), help="Frame rate of images, 25 by default, or of a camera or stream.")
@click.option(
    "--tiles",
    metavar="RxC",
    help="Split each frame into rows x columns of overlapping tiles that run through the network one by one, e.g. 2x2.",
)
@click.option("--reconnect", type=Number(0, 86400), default=0.0, help="Seconds to try to reopen a camera or stream that breaks.")
@click.option("--backend", help="Backend that runs the model; the file's usual one by default.")
@click.option("--threads", type=click.IntRange(min=0), default=0, show_default=True, help="CPU threads; 0 = the backend's default.")
@click.pass_context
def command(
    context: click.Context,
    video: str,
    model: Path,
    compare: Path | None,
    out: Path | None,
    address: str | None,
    smooth: float | None,
    opacity: float,
    fps: float | None,
    tiles: str | None,
    reconnect: float,
    backend: str | None,
    threads: int,
) -> None:
    """Paint the classes over VIDEO, with a legend and each stage's time: into a file, live in the browser, or both.

    VIDEO is a video file, a folder of images, a quoted pattern such as 'frames/*.png', the number of a camera (0 is
    the first), csi:NUMBER[@HxW] (a Jetson's own camera), gst:'PIPELINE' (what GStreamer reads), or the URL of a stream
    (rtsp://, http://).

    Where ffmpeg is installed, .mp4 is H.264, which browsers play, and a file's sound is kept.

    Ctrl-C, SIGTERM and SIGHUP keep what was written, playable. They are how a camera or a stream ends, so the exit
    code is then 0; of a file cut short it is 130, and of a stream that breaks 1.
    """
    from edgekd.console import progress
    from edgekd.measure.pytorch import open_model
    from edgekd_runtime.cli.demo import live_page, told_interruption
    from edgekd_runtime.errors import StoppedError, UsageError
    from edgekd_runtime.video import demo
    from edgekd_runtime.video.tiles import parse_tiles

    if out is None and address is None:
        raise UsageError("Nothing to do with the frames; give --out FILE, --serve PORT, or both.")
    with ExitStack() as stack:
        show = stack.enter_context(live_page(address)) if address else None
        sessions = [stack.enter_context(open_model(path, backend, threads)) for path in (model, compare) if path]
        update = stack.enter_context(progress("demo"))
        try:
            with told_interruption(out):
                frames, rate = demo(
                    sessions[0],
                    video,
                    out,
                    compare=sessions[1] if compare else None,
                    opacity=opacity,
                    smooth=smooth or 0.0,
                    fps=fps,
                    tiles=parse_tiles(tiles) if tiles else (1, 1),
                    reconnect_s=reconnect,
                    show=show,
                    progress=update,
                )
        except KeyboardInterrupt:
            context.exit(StoppedError.exit_code)
    click.echo(f"{out or video}: {frames} frames, {rate:.1f} a second (decode, network, drawing and encoding together)")
