#!/usr/bin/env bash
# On a machine without a network: install mammosweep from the wheelhouse in which this file lies.
# usage: install-offline.sh [--python PYTHON] [--digest SHA256] ENVIRONMENT
#   --python  the interpreter; of the version that the wheelhouse was made for
#   --digest  what wheelhouse.sh said at its end, brought here by another way than the folder itself
# Every file is held against SHA256SUMS and every wheel against its hash before it is unpacked.
set -euo pipefail

house=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=""
digest=""
environment=""

fail() {
  echo "install-offline: $*" >&2
  exit 2
}

while [ $# -gt 0 ]; do
  case $1 in
    --python | --digest)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case $1 in
        --python) python=$2 ;;
        --digest) digest=$2 ;;
      esac
      shift 2
      ;;
    -h | --help)
      sed -n '2,6s/^# //p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    -*) fail "unknown option $1" ;;
    *)
      [ -z "$environment" ] || fail "one environment, not both $environment and $1"
      environment=$1
      shift
      ;;
  esac
done
[ -n "$environment" ] || fail "no folder for the environment given; --help says how"
[ ! -e "$environment" ] || fail "$environment exists; give another folder (an upgrade is a new one, so that the old stays)"
[ -f "$house/SHA256SUMS" ] || fail "$house holds no SHA256SUMS; this file must lie in the wheelhouse that wheelhouse.sh made"

if [ -n "$digest" ]; then
  found=$(sha256sum "$house/SHA256SUMS" | cut -d' ' -f1)
  [ "$found" = "$digest" ] || fail "SHA256SUMS has the digest $found, expected $digest; the wheelhouse was changed on its way"
fi
(cd "$house" && sha256sum --check --quiet --strict SHA256SUMS) || fail "files are not as they were when the wheelhouse was made; carry it over again"

made_for() { sed -n "s/^$1=//p" "$house/made-for.txt"; }
python=${python:-python$(made_for python)}
command -v "$python" >/dev/null || fail "$python is not installed; the wheelhouse is made for Python $(made_for python)"
found=$("$python" -c 'import platform; print(".".join(platform.python_version_tuple()[:2]), platform.machine())')
[ "$found" = "$(made_for python) $(made_for machine)" ] || fail "$python is Python $found, the wheelhouse is made for $(made_for python) $(made_for machine)"

# The environment appears whole or not at all.
trap 'rm -rf "$environment"' EXIT
"$python" -m venv "$environment"
# --isolated: a user's own pip settings may name an index. --no-deps: requirements.txt lists everything, and nothing
# that it does not list is looked for.
"$environment/bin/python" -m pip --isolated --disable-pip-version-check install --quiet --no-cache-dir --no-index \
  --find-links "$house/wheels" --only-binary :all: --no-deps --require-hashes --requirement "$house/requirements.txt"
mkdir -p "$environment/share/mammosweep"
cp "$house/RUNBOOK.md" "$house/settings.toml" "$house/smoke.sh" "$environment/share/mammosweep/"

if [ "$(made_for part)" = some ]; then
  trap - EXIT
  echo "install-offline: a trial of some wheels in $environment; mammosweep cannot run from it"
  exit 0
fi
"$environment/bin/python" -m pip --isolated --disable-pip-version-check check
"$environment/bin/mammosweep" --version
"$environment/bin/mammosweep" bundle verify
trap - EXIT
echo "install-offline: done; PATH=$environment/bin:\$PATH $environment/share/mammosweep/smoke.sh proves that it works"
