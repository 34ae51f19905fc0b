#!/usr/bin/env bash
# One entry point for a machine with a GPU: trains, checks, times, and writes JSON to $OUT.
#   OUT=results PYTHON=python3 bash benchmarks/gpu.sh
# ACCELERATOR=cpu runs the same on a CPU, which is how this script itself is tested. Nothing is downloaded: PYTHON must have, or find on
# PYTHONPATH, what `make install` installs (pyproject.toml; beside torch and torchvision most of all timm, lightning-fabric, pydantic,
# torchmetrics, onnx, onnxscript, onnxslim, onnxruntime-gpu, opencv-python-headless, tensorrt, cuda-bindings, nvidia-ml-py, pytest).
# A part that fails is named at the end, exit 1, and keeps no other from running.
set -euo pipefail
cd "$(dirname "$0")/.."
OUT=${OUT:-benchmarks/results/gpu}
PYTHON=${PYTHON:-.venv/bin/python}
ACCELERATOR=${ACCELERATOR:-cuda}
PRECISION=${PRECISION:-bf16}
STEPS=${STEPS:-400}
export PYTHONPATH=$PWD:$PWD/deploy:$PWD/calib${PYTHONPATH:+:$PYTHONPATH}
mkdir -p "$OUT"

"$PYTHON" -c "import json, sys, torch; json.dump({'torch': torch.__version__, 'cuda': torch.version.cuda, 'device': torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'}, open(sys.argv[1], 'w'))" "$OUT/versions.json"
"$PYTHON" -m edgekd quickstart --out "$OUT/run" --set "train.accelerator=$ACCELERATOR" --set "train.precision=$PRECISION" \
    --set "train.steps=$STEPS" --set "teacher.steps=$STEPS"
cp "$OUT/run/bench.json" "$OUT/quickstart.json"
usable() { "$PYTHON" -m edgekd check --json | "$PYTHON" -c "import json, sys; print(*(name for name, one in json.load(sys.stdin)['$1'].items() if one['usable']))"; }
failed=()
part() { local name=$1; shift; echo "== $name"; "$@" || failed+=("$name"); }
"$PYTHON" -m edgekd check --json > "$OUT/check.json"
part export "$PYTHON" -m edgekd export "$OUT/run/distilled" --precision fp32,fp16,int8 --calib-images 16
for family in $(usable builders); do
    part "$family: build" "$PYTHON" -m edgekd export "$OUT/run/distilled" --out "$OUT/run/$family" \
        --precision fp32,fp16,int8,int8-fp16 --calib-images 16 --trt --family "$family"
    if [ "$ACCELERATOR" = cuda ]; then part "$family: run" "$PYTHON" -m edgekd bench "$OUT/run/$family" --results "$OUT/$family.json"; fi
done
# the engines were measured above; this folder holds none
others=$(for name in $(usable backends); do case $name in tensorrt*) ;; *) echo "--backend $name" ;; esac; done)
part backends "$PYTHON" -m edgekd bench "$OUT/run/distilled" $others --results "$OUT/backends.json"
if [ "$ACCELERATOR" = cuda ]; then part tests "$PYTHON" -m pytest -q -m cuda tests; fi
part losses "$PYTHON" benchmarks/losses.py --quick --out "$OUT/losses.json"
part step "$PYTHON" benchmarks/step.py --out "$OUT/step.json"
echo "Results in $OUT"
if [ ${#failed[@]} -gt 0 ]; then printf 'Failed: %s\n' "${failed[@]}"; exit 1; fi
