#!/usr/bin/env bash
# Proof that an installation works: draw phantoms, sweep them, sweep again, compare.
# usage: deploy/smoke.sh [folder for what it makes; default: a new temporary one]
set -euo pipefail

folder=${1:-$(mktemp -d)}
mammosweep phantom --exams 3 --seed 1 --syntax jpeg-lossless --syntax jpeg2000 --syntax rle --out "$folder/phantoms"
mammosweep sweep "$folder/phantoms" --out "$folder/results" --strict
mammosweep status "$folder/results"
before=$(sha256sum "$folder/results/exams.parquet")
mammosweep sweep "$folder/phantoms" --out "$folder/results" --strict
after=$(sha256sum "$folder/results/exams.parquet")
[ "$before" = "$after" ] || { echo "smoke: the second sweep changed the results" >&2; exit 1; }
echo "smoke: ok, see $folder/results/index.html"
