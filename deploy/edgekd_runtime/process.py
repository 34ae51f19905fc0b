"""A module of this package in a process of its own, in which a library may crash without harm."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def run_module(module: str, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m module`` with what it says captured; it finds this package also where it lies in a bundle."""
    package = str(Path(__file__).parents[1])  # of a bundle, the zip file
    # behind what is set: an installed package lies among all the others, which would hide what stands before them
    paths = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), package])
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": paths})
