"""What `python3 student.pyz` starts: copied into each bundle as its `__main__.py`, so any Python 3 must be able to read it."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  (the device's Python, not the host's)
    sys.stderr.write("Error: Python %d.%d is too old for this bundle; it needs 3.10 or later.\n" % sys.version_info[:2])  # noqa: UP031
    sys.exit(3)

from pathlib import Path


def start() -> int:
    """Unpack and run; the exit status."""
    try:
        import cv2  # noqa: F401
        import numpy  # noqa: F401
    except ImportError as error:
        sys.stderr.write(f"Error: {error}; install what is missing: {sys.executable} -m pip install numpy opencv-python-headless\n")
        return 3
    from edgekd_runtime.bundle import unpack
    from edgekd_runtime.cli import main
    from edgekd_runtime.errors import EdgeKDError

    try:
        bundle = unpack(Path(__file__).parent)
    except EdgeKDError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    return main(bundle=bundle)


try:
    sys.exit(start())
except KeyboardInterrupt:
    sys.exit(130)
