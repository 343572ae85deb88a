#!/usr/bin/env bash
# Proof that an installation works: draw phantoms, sweep them, sweep again in other portions, compare every row.
# usage: smoke.sh [--ray] [--device auto|cpu|cuda] [FOLDER for what it makes; default: a new temporary one]
#   --ray     once more with a local Ray and two actors
#   --device  where the networks run
# It needs no network and no patient data. Exit code 0: everything was as it should be.
set -euo pipefail
shopt -s inherit_errexit

with_ray=no
device=auto
folder=""

fail() {
  echo "smoke: $*" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --ray) with_ray=yes ;;
    --device)
      [ $# -ge 2 ] || fail "--device needs a value"
      device=$2
      shift
      ;;
    -h | --help)
      sed -n '2,6s/^# //p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*) fail "unknown option $1" ;;
    *) folder=$1 ;;
  esac
  shift
done
folder=${folder:-$(mktemp -d)}
mkdir -p "$folder"
phantoms=$folder/phantoms
# Phantoms are nobody: their pseudonyms need no key of the site.
export MAMMOSWEEP_PSEUDONYM_KEY_FILE=$folder/pseudonym.key

say() { echo "smoke: $*"; }

# Exits as expected, or it is said what came instead.
expect() {
  local expected=$1 code=0
  shift
  "$@" >>"$folder/log.txt" 2>&1 || code=$?
  [ "$code" = "$expected" ] || fail "exit code $code, expected $expected: $* (see $folder/log.txt)"
}

# One digest over the four tables, which depend on results alone.
rows() {
  (cd "$1" && sha256sum exams.parquet findings.parquet lesions.parquet images.parquet)
}

sweep() {
  local out=$1
  shift
  expect 0 mammosweep sweep "$phantoms" --out "$folder/$out" --device "$device" --flips none --strict "$@"
}

same() {
  [ "$(rows "$folder/first")" = "$(rows "$folder/$1")" ] || fail "$2: the rows differ, see $folder/first and $folder/$1"
  say "$2: the same rows"
}

expect 0 mammosweep bundle verify
expect 0 mammosweep phantom --exams 3 --seed 1 --spacing-mm 0.2 --out "$phantoms" \
  --syntax jpeg-lossless --syntax jpeg2000 --syntax rle
# What an archive holds besides: a file cut off, and one that is no image.
first_image=$(find "$phantoms" -name '*.dcm' | sort | head -n 1)
head -c 2000 "$first_image" >"$phantoms/cut.dcm"
echo "no image" >"$phantoms/notes.txt"
rm -f "$phantoms"/*.parquet

sweep first
before=$(rows "$folder/first")
say "three phantoms swept"
[ "$(($(wc -l <"$folder/first/worklist.csv") - 1))" = 3 ] || fail "worklist.csv does not have three exams"
expect 0 grep --quiet '"complete": true' "$folder/first/run.json"
mammosweep status "$folder/first" | grep --quiet complete || fail "status does not say that the sweep is complete"
# 12 views, a file that was cut off, one that is no image.
tr -d '\n ' <"$folder/first/run.json" | grep --quiet '"files":{"rejected":2,"seen":14,"set_aside":0,"used":12}' ||
  fail "the counts in $folder/first/run.json are not 14 files = 12 used + 2 rejected"
say "the counts add up"

sweep first
[ "$before" = "$(rows "$folder/first")" ] || fail "a second run changed the results"
say "a second run does nothing"

sweep single --chunk-exams 1
same single "another chunk size"

if [ "$with_ray" = yes ]; then
  sweep ray --ray local --workers 2
  same ray "Ray with two actors"
fi

expect 2 mammosweep sweep "$folder/nowhere" --out "$folder/lost"
mkdir -p "$folder/broken" && cp "$phantoms/cut.dcm" "$folder/broken/"
expect 3 mammosweep sweep "$folder/broken" --out "$folder/unread" --device "$device" --strict
say "exit codes are as they should be"
say "ok; $folder/first/index.html shows the results"
