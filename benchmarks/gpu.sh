#!/usr/bin/env bash
# One entry point for a machine with a GPU: trains, checks, times, and writes JSON to $OUT.
#   OUT=results PYTHON=python3 bash benchmarks/gpu.sh
# ACCELERATOR=cpu runs the same on a CPU, which is how this script itself is tested. Nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
OUT=${OUT:-benchmarks/results/gpu}
PYTHON=${PYTHON:-.venv/bin/python}
ACCELERATOR=${ACCELERATOR:-cuda}
PRECISION=${PRECISION:-bf16}
STEPS=${STEPS:-400}
export PYTHONPATH=$PWD:$PWD/deploy:$PWD/calib
mkdir -p "$OUT"

"$PYTHON" -c "import json, sys, torch; json.dump({'torch': torch.__version__, 'cuda': torch.version.cuda, 'device': torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'}, open(sys.argv[1], 'w'))" "$OUT/versions.json"
"$PYTHON" -m edgekd quickstart --out "$OUT/run" --set "train.accelerator=$ACCELERATOR" --set "train.precision=$PRECISION" \
    --set "train.steps=$STEPS" --set "teacher.steps=$STEPS"
cp "$OUT/run/bench.json" "$OUT/quickstart.json"
"$PYTHON" benchmarks/losses.py --quick --out "$OUT/losses.json"
"$PYTHON" benchmarks/step.py --out "$OUT/step.json"
if [ "$ACCELERATOR" = cuda ]; then "$PYTHON" -m pytest -q -m cuda tests; fi
echo "Results in $OUT"
