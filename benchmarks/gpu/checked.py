"""`edgekd check` as a JSON file: python benchmarks/gpu/checked.py OUT.json."""

import subprocess
import sys
from pathlib import Path


def main(out: str) -> int:
    done = subprocess.run([sys.executable, "-m", "edgekd", "check", "--json"], stdout=subprocess.PIPE, text=True, check=False)
    Path(out).write_text(done.stdout, encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
