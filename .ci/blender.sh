#!/bin/bash
# The add-on's test places, made once, outside the checkout, and its tests in them.
#
#   .ci/blender.sh setup     install what is missing (about two minutes on a bare machine, else nothing to do)
#   .ci/blender.sh test      setup, then every step below; ends with a line of counts
#   .ci/blender.sh run PLACE ARGS...   pytest ARGS in one place: bpy42, bpy45, bpy52, or real
#   .ci/blender.sh window    the window test alone, and `staf blender` with the real Blender
#   .ci/blender.sh build FOLDER        the extension's zip, validated, in FOLDER
#   .ci/blender.sh repository FOLDER   a repository to host: the zip, its index.json and a page; Blender adds it by
#                                      Preferences > Get Extensions > Repositories > Add Remote Repository
#
# BLENDER_CACHE         where Blender, bpy and the node packages are kept (/opt/blender-test)
# STAF_BACKEND_PYTHON   a Python that has staf-backend installed; its checkout is put on PYTHONPATH
# STAF_SCREENSHOTS      where the window test leaves the pictures of the add-on's page
set -euo pipefail
REPOSITORY=$(cd "$(dirname "$0")/.." && pwd)
CACHE=${BLENDER_CACHE:-/opt/blender-test}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}
export STAF_BACKEND_PYTHON=${STAF_BACKEND_PYTHON:-$(command -v python3)}
export STAF_WHEELS=$CACHE/wheels
export BLENDER_ROOT=$CACHE/trixie STAF_NODE_MODULES=$CACHE/node/node_modules
LIBRARIES="libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libxext6 libgl1 libxxf86vm1 libgomp1 libegl1 libgl1-mesa-dri mmdebstrap zstd"
DEBIAN_PACKAGES=blender,python3-numpy,python3-requests,python3-zstandard,xvfb,xauth,xdotool,scrot,libgl1-mesa-dri,libegl1,libgl1,libglx-mesa0,fonts-dejavu-core,dash,coreutils,libc-bin,bash,ca-certificates

say() { echo "== $1 (${SECONDS} s)"; }

system_libraries() {
  # shellcheck disable=SC2086
  dpkg -s $LIBRARIES >/dev/null 2>&1 && return
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $LIBRARIES >/dev/null
}

python_of() {  # python_of 3.13: its path, from the search path or pyenv; nothing when there is none
  local found
  for found in "$(command -v "python$1" || true)" "$HOME"/.pyenv/versions/"$1".*/bin/python; do
    [ -x "$found" ] && "$found" -c "import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '$1'.split('.'))))" \
      2>/dev/null && { echo "$found"; return; }
  done
}

uv() { UV_CACHE_DIR="$CACHE/uv-cache" UV_PYTHON_DOWNLOADS=automatic "$CACHE/uv/bin/uv" "$@"; }

bpy_module() {  # bpy_module NAME PYTHON-VERSION BPY-VERSION NUMPY
  local stamp="1 $*" python
  [ "$(cat "$CACHE/$1/.stamp" 2>/dev/null)" = "$stamp" ] && return
  python=$(python_of "$2")
  [ -n "$python" ] || { echo "no Python $2: $1 cannot be made" >&2; return 1; }
  rm -rf "${CACHE:?}/$1"
  uv venv -q -p "$python" "$CACHE/$1"
  uv pip install -q -p "$CACHE/$1/bin/python" "bpy==$3" "numpy$4" pytest
  echo "$stamp" > "$CACHE/$1/.stamp"
}

real_blender() {  # Debian 13's Blender 4.3.2, unpacked but not configured, in a folder
  local stamp="1 trixie $DEBIAN_PACKAGES" new=$BLENDER_ROOT.new
  [ "$(cat "$BLENDER_ROOT/.stamp" 2>/dev/null)" = "$stamp" ] && return
  rm -rf --one-file-system "$new"
  mmdebstrap --quiet --mode=root --variant=extract --aptopt='APT::Install-Recommends "false"' \
    --include="$DEBIAN_PACKAGES" trixie "$new"
  rm -rf "$new"/usr/share/{doc,man,info,locale}
  # what the packages' own scripts would have done: the choice of BLAS, the mount table
  printf '%s\n' /usr/lib/x86_64-linux-gnu/{blas,lapack} > "$new/etc/ld.so.conf.d/blas.conf"
  chroot "$new" /sbin/ldconfig
  ln -sfn /proc/self/mounts "$new/etc/mtab"
  mkdir -p "$new"/{tmp,root,proc,sys,dev,opt,home}
  chmod 1777 "$new/tmp"
  chroot "$new" /usr/bin/env -i HOME=/root PATH=/usr/bin:/bin /usr/bin/blender --version | head -1
  echo "$stamp" > "$new/.stamp"
  rm -rf --one-file-system "$BLENDER_ROOT"
  mv "$new" "$BLENDER_ROOT"
}

node_packages() {
  local stamp
  stamp=$(cat "$REPOSITORY"/tests/gltf_checks/package*.json | sha256sum)
  [ "$(cat "$CACHE/node/.stamp" 2>/dev/null)" = "$stamp" ] && return
  mkdir -p "$CACHE/node"
  cp "$REPOSITORY"/tests/gltf_checks/package*.json "$CACHE/node/"
  (cd "$CACHE/node" && npm ci --silent --no-audit --no-fund >/dev/null)
  echo "$stamp" > "$CACHE/node/.stamp"
}

wheels() {  # what Set Up Backend installs from: the backend's wheel, and those it needs
  local needs ours python source
  python=$(python_of 3.11)
  needs="1 $(sed -n '/^dependencies/,/^]/p' "$REPOSITORY/pyproject.toml" | sha256sum)"
  ours=$(git -C "$REPOSITORY" rev-parse HEAD:staf_backend HEAD:pyproject.toml | sha256sum)
  [ "$(cat "$CACHE/wheels/.stamp" 2>/dev/null)" = "$needs $ours" ] && return
  source=$(mktemp -d)  # building in the checkout would leave folders in it
  git -C "$REPOSITORY" archive HEAD | tar -x -C "$source"
  if [[ "$(cat "$CACHE/wheels/.stamp" 2>/dev/null)" != "$needs "* ]]; then
    rm -rf "$CACHE/wheels"
    "$python" -m pip wheel -q -w "$CACHE/wheels" "$source" 2>/dev/null
  fi
  rm -f "$CACHE"/wheels/staf_backend-*.whl
  "$python" -m pip wheel -q --no-deps -w "$CACHE/wheels" "$source" 2>/dev/null
  rm -rf "$source"
  echo "$needs $ours" > "$CACHE/wheels/.stamp"
}

setup() {
  mkdir -p "$CACHE"
  exec 9> "$CACHE/.lock"
  flock 9
  say "system libraries"; system_libraries
  say "bpy modules"
  [ -x "$CACHE/uv/bin/uv" ] || {
    python3 -m venv "$CACHE/uv"
    "$CACHE/uv/bin/pip" install -q --require-hashes -r "$REPOSITORY/.ci/locks/tools.txt"
  }
  bpy_module bpy45 3.11 4.5.15 '<2'
  bpy_module bpy52 3.13 5.2.3 '>=2.2'
  bpy_module bpy42 3.11 4.2.23 '<2'
  [ -d "$CACHE/pytest" ] || "$CACHE/uv/bin/pip" install -q --target "$CACHE/pytest" "$(grep -o '^pytest==[^ ;]*' "$REPOSITORY/.ci/locks/tools.txt")"
  say "node packages"; node_packages
  say "wheels"; wheels
  say "Blender 4.3.2"; real_blender
  say "ready"
  exec 9>&-
}

run() (  # run PLACE ARGS...: pytest in one place; a shell of its own, so that its variables stay in it
  local place=$1; shift
  cd "$REPOSITORY"
  export STAF_ADDON_PLACE=$place BLENDER_USER_RESOURCES
  BLENDER_USER_RESOURCES=$(mktemp -d)
  local code=0
  if [ "$place" = real ]; then
    .ci/blender-in-folder --background --factory-startup --python-exit-code 1 \
      --python tests/addon/pytest_inside.py -- "$CACHE/pytest" "$@" || code=$?
  else
    "$CACHE/$place/bin/python" tests/addon/pytest_inside.py -- - "$@" || code=$?
  fi
  rm -rf "$BLENDER_USER_RESOURCES"
  exit $code
)

extension_tool() {  # Blender's own tool for extensions, which needs no Blender
  local tool
  tool=$(echo "$CACHE"/bpy45/lib/python3.11/site-packages/bpy/4.5/scripts/addons_core/bl_pkg/cli/blender_ext.py)
  "$CACHE/bpy45/bin/python" "$tool" "$@"
}

build() {
  mkdir -p "$1"
  rm -f "$1"/staf-*.zip
  extension_tool validate "$REPOSITORY/addon"
  extension_tool build --source-dir "$REPOSITORY/addon" --output-dir "$1"
  extension_tool validate "$1"/staf-*.zip
}

repository() {
  build "$1"
  extension_tool server-generate --repo-dir "$1" --html
}

window() {  # the window test; STAF_SCREENSHOTS=addon/pictures renews the pictures of addon/README.md
  build "$CACHE/extension"
  cd "$REPOSITORY"
  STAF_EXTENSION=$(echo "$CACHE"/extension/staf-*.zip) STAF_WINDOW=1 \
    "$STAF_BACKEND_PYTHON" -m pytest -p no:cacheprovider -q tests/addon/test_window_first.py \
    tests/addon/test_window.py tests/addon/test_window_people.py tests/addon/test_staf_blender.py
}

test() {  # every place one after another; the first failure ends it
  setup
  local place
  say "extension"
  build "$CACHE/extension"
  for place in bpy45 real bpy52 bpy42; do
    say "tests in $place"
    run "$place" tests/addon -q
  done
  say "window"
  window
  say "done"
}

"${1:-setup}" "${@:2}"
