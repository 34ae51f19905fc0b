"""`python -m edgekd_runtime check | build | bench | demo`: for a device, with nothing but numpy, OpenCV and a backend."""

import sys

BASICS = {"cv2": "opencv-python-headless", "numpy": "numpy"}


def start() -> int:
    """Run the command line; the exit status."""
    try:
        from edgekd_runtime.cli import main
    except KeyboardInterrupt:  # Ctrl-C while NumPy and OpenCV load
        return 130
    except ImportError as error:
        if error.name not in BASICS:
            raise
        mend = f"{sys.executable} -m pip install {BASICS[error.name]}"
        own = ", or on a Jetson its own: sudo apt install python3-opencv" if error.name == "cv2" else ""
        sys.stderr.write(f"Error: {error}; install what is missing: {mend}{own}\n")
        return 3
    return main()


if __name__ == "__main__":
    sys.exit(start())
