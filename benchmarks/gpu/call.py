"""One of the four calls that measure everything on a lent GPU, or the same in a size that a CPU does in minutes.

python benchmarks/gpu/call.py 1 --out OUT [--small]        PARTS=check,streams chooses parts of it

A part that fails or runs out of its time is recorded so and keeps no other from running. ``OUT/callN.json`` is written anew after every
part and ``OUT/callN.log`` holds what they said, so a call that is cut off has lost one part. Runs and models lie outside OUT.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TextIO

from parts import CALLS, LIMIT_S, Part, Place

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Run the call; 1 if a part failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("call", type=int, choices=CALLS)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ROOT / "runs/gpu")))
    parser.add_argument("--work", type=Path, default=Path(os.environ.get("WORK", Path(tempfile.gettempdir()) / "edgekd-gpu")))
    parser.add_argument("--camvid", default=os.environ.get("CAMVID"), help="CamVid's folder; drawn streets stand in for it otherwise")
    parser.add_argument("--weights", default=os.environ.get("WEIGHTS"), help="folder with lite0.pth and lite2.pth of ImageNet")
    parser.add_argument("--small", action="store_true", help="a CPU's size: every line runs, no figure means anything")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    given.work.mkdir(parents=True, exist_ok=True)
    place = Place(given.work.resolve(), given.small, given.camvid, given.weights)
    wanted = [name for name in os.environ.get("PARTS", "").split(",") if name]
    parts = [part for part in CALLS[given.call](place) if not wanted or part.name in wanted]
    record: dict[str, Any] = {"call": given.call, "small": given.small, "machine": machine(), "parts": {}}
    begin, patience = time.monotonic(), 4 if given.small else 1  # a CPU may be anybody's
    with (given.out / f"call{given.call}.log").open("w", encoding="utf-8") as log:
        for part in parts:
            left = patience * LIMIT_S - (time.monotonic() - begin)
            record["parts"][part.name] = run(part, min(patience * part.seconds, left), log)
            record["cpu_seconds"] = round(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]), 1)
            (given.out / f"call{given.call}.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    states = {name: one["state"] for name, one in record["parts"].items()}
    print(json.dumps(states))
    return int(any(state in ("failed", "out of time") for state in states.values()))


def run(part: Part, seconds: float, log: TextIO) -> dict[str, Any]:
    """What a part's commands left, one after another, within so many seconds together."""
    print(f"== {part.name}", flush=True)
    if part.missing:
        return {"state": "not run", "why": part.missing}
    if seconds < 1:
        return {"state": "not run", "why": "the call's time was used up before"}
    begin = time.monotonic()
    state = "done"
    for command in part.commands:
        log.write(f"== {part.name}: {' '.join(command)}\n")
        log.flush()
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment(), start_new_session=True)
        try:
            status = process.wait(max(0.1, seconds - (time.monotonic() - begin)))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            state = "out of time"
            break
        if status:
            state = "failed"
            break
    found = {"state": state, "seconds": round(time.monotonic() - begin, 1)}
    print(f"   {state} after {found['seconds']} s", flush=True)
    for name, file in part.results.items():
        if file.is_file():
            found[name] = json.loads(file.read_text(encoding="utf-8"))
    return found


def environment() -> dict[str, str]:
    """Of every command: the project's packages on the path, as in a checkout where nothing is installed."""
    paths = [str(ROOT), str(ROOT / "deploy"), str(ROOT / "calib"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


def machine() -> dict[str, Any]:
    """Where it ran, and with which versions."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "cores": len(os.sched_getaffinity(0)),
    }


if __name__ == "__main__":
    sys.exit(main())
