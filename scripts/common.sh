# Shared by the project's scripts: where the tree is, how they speak, and the release build.
# shellcheck shell=bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '==> %s\n' "$*" >&2; }

# fail STATUS SENTENCE: what is wrong and what to do about it.
fail() {
  local status=$1
  shift
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit "$status"
}

# build PRESET [TARGET...]: configures once, then builds.
build() {
  local preset=$1
  shift
  local directory=$root/build/$preset log=$root/build/$preset-configure.log
  mkdir -p "$root/build"
  if [ ! -f "$directory/build.ninja" ]; then
    say "configuring the $preset build"
    (cd "$root" && cmake --preset "$preset") >"$log" 2>&1 || {
      cat "$log" >&2
      fail 1 "CMake could not configure the $preset build; the lines above say why."
    }
  fi
  say "building ($preset)"
  local quiet=()
  # A terminal gets ninja's own one-line progress; a log only what went wrong.
  [ -t 1 ] || quiet=(--quiet)
  ninja -C "$directory" "${quiet[@]}" "$@" ||
    fail 1 "the $preset build failed; the lines above say where."
}
