#!/usr/bin/env bash
# Fetches the guest of ./quickstart and of the boot tests into cache/guest/: Debian's kernel as it is
# (vmlinuz), and its static busybox packed as an initramfs (initrd). Nothing is installed, and root is
# not needed. Does nothing when the guest is there already.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$root/scripts/initramfs.sh"

guest=$root/cache/guest
downloads=$root/cache/packages
init=$root/scripts/guest-init
stamp=$guest/made-from

current() { sha256sum <"$init" | cut -d' ' -f1; }
if [ -f "$guest/vmlinuz" ] && [ -f "$guest/initrd" ] && [ "$(tail -n 1 "$stamp" 2>/dev/null)" = "$(current)" ]; then
  exit 0
fi

for tool in apt-get apt-cache dpkg-deb cpio; do
  command -v $tool >/dev/null ||
    fail 1 "'$tool' is missing; the guest is made of Debian packages, so use a Debian system with cpio installed."
done

# The kernel's name changes with its version; the metapackage says which it is.
kernel_package() { apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1; }

refresh_lists() {
  [ "$(id -u)" = 0 ] || return 1
  say "fetching the package lists"
  apt-get update -q >/dev/null 2>&1
}

advice="check the network, run 'apt-get update' as root, and try again"

kernel=$(kernel_package)
if [ -z "$kernel" ]; then
  refresh_lists || true
  kernel=$(kernel_package)
  [ -n "$kernel" ] || fail 1 "the package lists do not have linux-image-amd64; $advice."
fi

mkdir -p "$downloads"
fetch() {
  local package=$1 log=$downloads/$1.log
  rm -f "$downloads/$package"_*.deb
  (cd "$downloads" && apt-get download -q "$package") >"$log" 2>&1
}
for package in "$kernel" busybox-static; do
  say "downloading $package"
  fetch "$package" || { refresh_lists && fetch "$package"; } || {
    grep '^E:' "$downloads/$package.log" >&2 || true
    fail 1 "$package could not be downloaded; $advice."
  }
done

say "unpacking the guest"
work=$(mktemp -d "$root/cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
for package in "$downloads/$kernel"_*.deb "$downloads"/busybox-static_*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work" --exclude='./lib/modules' --exclude='./usr/share' \
    --exclude='./boot/System.map*'
done
mkdir -p "$guest"
rm -f "$stamp"
cp "$work"/boot/vmlinuz-* "$guest/vmlinuz"
pack_initramfs "$work/bin/busybox" "$work/initramfs" "$guest/initrd"
{
  for package in "$downloads/$kernel"_*.deb "$downloads"/busybox-static_*.deb; do
    dpkg-deb -f "$package" Package Version | sed 's/^[^:]*: //' | paste -sd ' '
  done
  current
} >"$stamp"
rm -f "$downloads/$kernel"_*.deb
say "the guest is in cache/guest: $(head -n 1 "$stamp")"
