"""`edgekd demo`."""

from pathlib import Path

import click


@click.command()
@click.argument("video")
@click.option("--model", required=True, type=click.Path(path_type=Path), help="Exported model.onnx, or the folder that holds it.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Video to write: .mp4, .avi, .mkv or .mov.")
@click.option("--opacity", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Of the colours.")
@click.option("--fps", type=click.FloatRange(min=0, min_open=True), help="Frame rate that images stand for; 25 where absent.")
@click.option("--backend", default="onnxruntime-cpu", show_default=True, help="What runs the model.")
@click.option("--threads", type=click.IntRange(min=0), default=0, show_default=True, help="CPU threads; 0 = the backend's default.")
def command(video: str, model: Path, out: Path, opacity: float, fps: float | None, backend: str, threads: int) -> None:
    """Write VIDEO with the classes painted over it, a legend and the frame rate.

    VIDEO is a video file, a folder of images, or a quoted pattern such as 'frames/*.png'.
    """
    from edgekd.console import progress
    from edgekd_runtime.artifact import find_models
    from edgekd_runtime.backends import open_session
    from edgekd_runtime.errors import UsageError
    from edgekd_runtime.video import demo

    files = find_models(model)
    if len(files) > 1:
        raise UsageError(f"{model} holds {len(files)} models; name one of them, e.g. {files[0]}.")
    with open_session(files[0], backend, threads) as session, progress("demo") as update:
        frames, rate = demo(session, video, out, opacity=opacity, fps=fps, progress=update)
    click.echo(f"{out}: {frames} frames, {rate:.1f} a second (decode, network, drawing and encoding together)")
