"""`python -m edgekd_runtime check | build | bench | demo`: for a device, with nothing but numpy, OpenCV and a backend."""

import sys

from edgekd_runtime.cli import main

if __name__ == "__main__":
    sys.exit(main())
