"""`python -m edgekd_runtime check | build | bench | demo`: for a device, with nothing but numpy, OpenCV and a backend."""

import sys

try:
    from edgekd_runtime.cli import main
except KeyboardInterrupt:  # Ctrl-C while NumPy and OpenCV load
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
