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
usable() { "$PYTHON" -m edgekd check --json | "$PYTHON" -c "import json, sys; print(*(name for name, one in json.load(sys.stdin)['$1'].items() if one['usable']))"; }
"$PYTHON" -m edgekd check --json > "$OUT/check.json"
"$PYTHON" -m edgekd export "$OUT/run/distilled" --precision fp32,fp16,int8 --calib-images 16
for family in $(usable builders); do
    "$PYTHON" -m edgekd export "$OUT/run/distilled" --out "$OUT/run/$family" --precision fp32,fp16,int8,int8-fp16 --calib-images 16 --trt --family "$family"
    "$PYTHON" -m edgekd bench "$OUT/run/$family" --results "$OUT/$family.json" || echo "$family: engines built, not run"
done
"$PYTHON" -m edgekd bench "$OUT/run/distilled" $(for name in $(usable backends); do echo "--backend $name"; done) --results "$OUT/backends.json"
"$PYTHON" benchmarks/losses.py --quick --out "$OUT/losses.json"
"$PYTHON" benchmarks/step.py --out "$OUT/step.json"
if [ "$ACCELERATOR" = cuda ]; then "$PYTHON" -m pytest -q -m cuda tests; fi
echo "Results in $OUT"
