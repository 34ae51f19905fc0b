#!/usr/bin/env bash
# A HuggingFace model as the teacher, from the command line: huggingface_teacher.sh FOLDER_OR_ID OUT
# The data are drawn streets (recipe quickstart); of your own data: --recipe my.yaml, and teacher.classes if its classes differ.
set -euo pipefail
edgekd distill --recipe quickstart --teacher "hf:$1" --method cwd --steps "${STEPS:-250}" --out "$2" --overwrite
edgekd export "$2"
