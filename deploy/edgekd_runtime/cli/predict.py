"""`predict`."""

import argparse
from pathlib import Path

from edgekd_runtime.artifact import only_model
from edgekd_runtime.backends import open_session
from edgekd_runtime.bundle import Bundle
from edgekd_runtime.cli.options import Progress, at_least
from edgekd_runtime.predict import FORMS, image_files, predict
from edgekd_runtime.trt import host_code

HELP = "class maps of images as PNG files"


def arguments(parser: argparse.ArgumentParser, bundle: Bundle | None) -> None:
    """Its flags."""
    parser.add_argument("images", nargs="+", help="image files, folders, or patterns")
    parser.add_argument("--model", type=Path, required=bundle is None, default=bundle.models if bundle else None, help="exported model")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the masks to")
    parser.add_argument("--form", choices=FORMS, default="index", help="class numbers in grey, or the classes' colours")
    parser.add_argument("--overlay", action="store_true", help="also write NAME_overlay.jpg: the classes painted over the image")
    parser.add_argument("--backend", help="backend that runs the model; the file's usual one by default")
    parser.add_argument("--threads", type=at_least(0), default=0, help="CPU threads; 0 = the backend's default")
    parser.add_argument(host_code.FLAG, action="store_true", help=host_code.HELP)


def run(given: argparse.Namespace) -> None:
    """Predict them."""
    if given.allow_host_code:
        host_code.allow()
    shown = Progress()
    files = image_files(given.images)
    with open_session(only_model(given.model), given.backend, given.threads) as session:
        progress = lambda done, total: shown("predict", done, total)  # noqa: E731
        done = predict(session, files, given.out, form=given.form, overlays=given.overlay, progress=progress)
    print(f"{len(done)} masks in {given.out}")
