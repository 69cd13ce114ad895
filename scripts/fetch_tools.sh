#!/usr/bin/env bash
# Fetches into cache/guest/, unpacked and not installed, the small guests of Debian's packages that are no Linux:
# memtest86+x64.bin, memtest86+x64.efi, memtest86+ia32.bin; ipxe.lkrn, ipxe.iso, ipxe.efi; systemd-bootx64.efi. Does nothing when they are there.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$root/scripts/apt_other.sh"

guest=$root/cache/guest
files=(memtest86+x64.bin memtest86+x64.efi memtest86+ia32.bin ipxe.lkrn ipxe.iso ipxe.efi systemd-bootx64.efi)
missing=false
for file in "${files[@]}"; do [ -f "$guest/$file" ] || missing=true; done
$missing || exit 0

work=$(mktemp -d "$root/cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$guest"
other_apt amd64
for package in memtest86+ ipxe systemd-boot-efi; do
  say "downloading $package"
  other_download "$package"
  for deb in "$root/cache/packages/$package"_*.deb; do dpkg-deb -x "$deb" "$work"; done
done
for file in "${files[@]}"; do
  found=$(find "$work" -name "$file" -type f | head -n 1)
  [ -n "$found" ] || fail 1 "the packages do not have $file any more; this script has to be changed."
  cp "$found" "$guest/$file"
done
say "memtest86+, iPXE and systemd-boot are in cache/guest"
