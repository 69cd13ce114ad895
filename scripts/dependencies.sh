#!/usr/bin/env bash
# Installs the Debian packages that are missing. Usage: scripts/dependencies.sh [--list] GROUP...
# Groups: build (compiler and libraries), guest (unpacking the guest that ./quickstart boots),
# bench (the monitor that is measured beside ours, and Google Benchmark for bench/micro),
# test (the firmware that boot tests start from, and what disk images and networks are checked with),
# disk (what scripts/make_disk.sh makes a disk with).
set -euo pipefail
. "$(dirname "$0")/common.sh"

build_packages=(g++ cmake ninja-build ccache git
  libzydis-dev libxbyak-dev libfmt-dev libcli11-dev nlohmann-json3-dev libslirp-dev libssl-dev libnbd-dev libgtest-dev
  libpng-dev libneatvnc-dev libaml-dev libpixman-1-dev
  pkg-config libbz2-dev liblz4-dev liblzma-dev libxxhash-dev libzstd-dev zlib1g-dev)
guest_packages=(cpio gzip xz-utils)
bench_packages=(qemu-system-x86 python3 libbenchmark-dev)
test_packages=(qemu-utils qemu-system-common nbdkit seabios ovmf passt iproute2 openssh-client)
disk_packages=(mmdebstrap fdisk e2fsprogs dosfstools mtools)

only_list=false
wanted=()
[ $# -gt 0 ] || set -- build guest test
for group; do
  case $group in
    --list) only_list=true ;;
    build) wanted+=("${build_packages[@]}") ;;
    guest) wanted+=("${guest_packages[@]}") ;;
    bench) wanted+=("${bench_packages[@]}") ;;
    test) wanted+=("${test_packages[@]}") ;;
    disk) wanted+=("${disk_packages[@]}") ;;
    *) fail 2 "unknown group '$group'; the groups are build, guest, bench, test and disk." ;;
  esac
done
if $only_list; then
  printf '%s\n' "${wanted[@]}"
  exit 0
fi

if ! command -v dpkg-query >/dev/null; then
  fail 1 "this system has no dpkg, so packages cannot be installed automatically; install what provides" \
    "these Debian packages, then build with cmake --preset release: ${wanted[*]}"
fi

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
missing=()
for package in "${wanted[@]}"; do
  installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null ||
    fail 1 "these packages are missing and only root can install them; as root run: apt-get install ${missing[*]}"
  as_root=(sudo)
  sudo -n true 2>/dev/null || [ -t 0 ] ||
    fail 1 "these packages are missing and sudo would ask for a password; run: sudo apt-get install ${missing[*]}"
fi

say "installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}" >"$log" 2>&1
}
# The package list may be absent or stale: fetch it and try once more.
install || { "${as_root[@]}" apt-get update -q >"$log" 2>&1 && install; } || {
  tail -n 15 "$log" >&2
  fail 1 "apt-get could not install ${missing[*]}; check the network and the package sources, then try again."
}
