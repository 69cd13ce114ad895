#!/usr/bin/env bash
# Fetches Debian's 32-bit kernels as they are into cache/guest/: vmlinuz-686 (two-level paging), vmlinuz-686-pae, and
# initrd-686, the same shell as in the guest of scripts/fetch_guest.sh, of 32-bit code. Nothing is installed, and root
# is not needed. Does nothing when they are there already.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$root/scripts/apt_other.sh"
. "$root/scripts/initramfs.sh"

guest=$root/cache/guest
stamp=$guest/made-from-686
kernels=(686 686-pae)

current() { cat "$root/scripts/guest-init" "$0" | sha256sum | cut -d' ' -f1; }
if [ "$(tail -n 1 "$stamp" 2>/dev/null)" = "$(current)" ]; then
  exit 0
fi
for tool in apt-get apt-cache dpkg-deb cpio; do
  command -v $tool >/dev/null ||
    fail 1 "'$tool' is missing; the guest is made of Debian packages, so use a Debian system with cpio installed."
done

other_apt i386
work=$(mktemp -d "$root/cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$guest"
rm -f "$stamp"

# take PACKAGE PATTERN: the file of the package that the pattern names, into $work.
made_from=()
take() {
  say "downloading $1 (i386)"
  other_download "$1"
  local deb=("$root/cache/packages/$1"_*.deb)
  made_from+=("$(dpkg-deb -f "${deb[0]}" Package Version | sed 's/^[^:]*: //' | paste -sd ' ')")
  dpkg-deb --fsys-tarfile "${deb[0]}" | tar -x -C "$work" --wildcards "$2"
  rm -f "${deb[@]}"
}

for kernel in "${kernels[@]}"; do
  # The kernel's name changes with its version; the metapackage says which it is.
  package=$(apt-cache "${other[@]}" depends "linux-image-$kernel" 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
  [ -n "$package" ] || fail 1 "the package lists of i386 do not have linux-image-$kernel; delete cache/apt-i386 and try again."
  take "$package" './boot/vmlinuz-*'
  mv "$work"/boot/vmlinuz-* "$guest/vmlinuz-$kernel"
done
take busybox-static './bin/busybox'
pack_initramfs "$work/bin/busybox" "$work/initramfs" "$guest/initrd-686"
{
  printf '%s\n' "${made_from[@]}"
  current
} >"$stamp"
say "the 32-bit guests are in cache/guest: ${made_from[*]}"
