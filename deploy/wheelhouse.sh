#!/usr/bin/env bash
# On a machine with a package index: put everything that an offline machine needs to install mammosweep into one folder.
# usage: deploy/wheelhouse.sh [--extra NAME]... [--only REQUIREMENT]... [--python PYTHON] FOLDER
#   --extra   an optional part as well: cluster (KubeRay), openvino, tensorrt, fit, demo; may be repeated
#   --only    mammosweep and this requirement alone, without what it needs: a trial of the way, no installation
#   --python  the interpreter; the offline machine needs the same version of Python and the same kind of processor
# Versions are those of pyproject.toml and constraints.txt; the hashes are noted here, of what the index gave today.
set -euo pipefail
shopt -s inherit_errexit

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=python3.11
extras=()
only=()
folder=""

fail() {
  echo "wheelhouse: $*" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --extra | --only | --python)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case $1 in
        --extra) extras+=("$2") ;;
        --only) only+=("$2") ;;
        --python) python=$2 ;;
      esac
      shift 2
      ;;
    -h | --help)
      sed -n '2,7s/^# //p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*) fail "unknown option $1" ;;
    *)
      [ -z "$folder" ] || fail "one folder, not both $folder and $1"
      folder=$1
      shift
      ;;
  esac
done
[ -n "$folder" ] || fail "no folder given; deploy/wheelhouse.sh --help says how"
[ ! -e "$folder" ] || fail "$folder exists; give another folder"
command -v "$python" >/dev/null || fail "$python is not installed; give another --python"

# The folder appears whole or not at all.
making=$folder.making
rm -rf "$making"
mkdir -p "$making/wheels"
trap 'rm -rf "$making"' EXIT
pip() { "$python" -m pip --disable-pip-version-check "$@"; }

pip wheel --quiet --no-deps --wheel-dir "$making/wheels" "$repository"
engine=("$making"/wheels/mammosweep-*.whl)
if [ ${#only[@]} -gt 0 ]; then
  pip wheel --quiet --no-deps --wheel-dir "$making/wheels" --constraint "$repository/constraints.txt" "${only[@]}"
  part=some
else
  names=$(IFS=, && echo "${extras[*]}")
  # `pip wheel` takes wheels as they are and builds what has none, so that nothing is built offline.
  pip wheel --quiet --wheel-dir "$making/wheels" --constraint "$repository/constraints.txt" \
    "${engine[0]}${names:+[$names]}"
  part=all
fi

"$python" - "$making" "$part" <<'PYTHON'
import hashlib, pathlib, platform, sys

folder, part = pathlib.Path(sys.argv[1]), sys.argv[2]
lines = []
for wheel in sorted((folder / "wheels").iterdir(), key=lambda wheel: wheel.name.lower()):
    name, version = wheel.name.split("-")[:2]
    with wheel.open("rb") as file:
        lines.append(f"{name}=={version} --hash=sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")
(folder / "requirements.txt").write_text("\n".join(lines) + "\n")
python = ".".join(platform.python_version_tuple()[:2])
(folder / "made-for.txt").write_text(f"python={python}\nmachine={platform.machine()}\npart={part}\n")
PYTHON

cp -R "$repository/deploy/." "$repository/LICENSE" "$repository/NOTICE" "$making/"
sums=$(cd "$making" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
echo "$sums" >"$making/SHA256SUMS"
mv "$making" "$folder"
trap - EXIT
echo "wheelhouse: $(find "$folder/wheels" -name '*.whl' | wc -l) wheels, $(du -sh "$folder" | cut -f1) in $folder"
echo "wheelhouse: carry the folder over, and this digest by another way: $(sha256sum "$folder/SHA256SUMS" | cut -d' ' -f1)"
