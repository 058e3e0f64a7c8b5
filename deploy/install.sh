#!/bin/sh
# Installs the gateway from its lock files into an empty folder: ./deploy/install.sh PREFIX
#
# The image is built by these very steps, and they work without an image engine. Every package is checked against its
# hash, only wheels are taken, so no compiler is needed, and nothing remains that could install more.
set -eu

prefix=${1:?"say where: ./deploy/install.sh PREFIX"}
python=${PYTHON:-python3}
source=$(cd "$(dirname "$0")/.." && pwd)
if [ -e "$prefix" ] && [ -n "$(ls -A "$prefix")" ]; then
  echo "$prefix is not empty; give a new folder" >&2
  exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
install() { "$scratch/tools/bin/python" -m pip --disable-pip-version-check --quiet install "$@"; }

# Tools stay in a folder of their own, which goes; a copy of the source keeps the tree free of build output.
"$python" -m venv "$scratch/tools"
install --require-hashes --only-binary :all: -r "$source/requirements-build.lock"
mkdir "$scratch/source"
for part in gateway clients proto docs pyproject.toml README.md LICENSE CHANGELOG.md; do
  cp -R "$source/$part" "$scratch/source/$part"
done
"$scratch/tools/bin/python" -m pip --disable-pip-version-check --quiet wheel \
  --no-deps --no-build-isolation --wheel-dir "$scratch/wheel" "$scratch/source"

"$python" -m venv --without-pip "$prefix"
install --prefix "$prefix" --require-hashes --only-binary :all: --no-compile -r "$source/requirements.lock"
install --prefix "$prefix" --no-deps --no-compile "$scratch"/wheel/*.whl

# Compiled once, checked by content: a read-only tree cannot be compiled later, and times of files say nothing.
"$prefix/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$prefix/lib"
# pip wrote the interpreter that ran it into the scripts; they are to run with the one beside them.
for script in "$prefix"/bin/*; do
  [ -L "$script" ] || sed -i.old "1s|^#!.*/python[0-9.]*\$|#!$prefix/bin/python|" "$script"
done
rm -f "$prefix"/bin/*.old
