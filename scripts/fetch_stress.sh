#!/usr/bin/env bash
# Makes cache/guest/initrd-stress: the guest of scripts/fetch_guest.sh with what tries several processors hard:
# Debian's stress-ng, hackbench (rt-tests) and the C compiler proper (cc1) with a source file. Boot it with
# rdinit=/stress/init. Does nothing when it is there already.
set -euo pipefail
. "$(dirname "$0")/common.sh"

guest=$root/cache/guest
downloads=$root/cache/packages/stress
stamp=$guest/stress-made-from
packages=(stress-ng rt-tests cpp-12)

"$root/scripts/fetch_guest.sh"
wanted=$(sha256sum "$guest/made-from" "$0" "$root/scripts/guest-stress-init" | cut -d' ' -f1)
if [ -f "$guest/initrd-stress" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi

mkdir -p "$downloads"
say "downloading stress-ng, rt-tests and cpp-12 with their libraries"
# The packages and all that they depend on, as far as it is a library and not a name that another package fills.
mapfile -t names < <(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
  --no-enhances "${packages[@]}" | sed -n 's/^\(z\?lib[a-z0-9.+-]*\)$/\1/p' | sort -u)
mapfile -t wanted_packages < <(apt-cache --no-all-versions show "${packages[@]}" "${names[@]}" 2>/dev/null | sed -n 's/^Package: //p' | sort -u)
(cd "$downloads" && apt-get download -q "${wanted_packages[@]}") >"$downloads/download.log" 2>&1 || {
  grep '^E:' "$downloads/download.log" >&2 || true
  fail 1 "stress-ng or a library of its could not be downloaded; check the network, run 'apt-get update' as root, and try again."
}

work=$(mktemp -d "$root/cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
for package in "$downloads"/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x -C "$work" --exclude='./usr/share' --exclude='./usr/lib/python*'
done
tree=$work/initramfs/stress
mkdir -p "$tree/lib"

# Copies a program and, once each, the libraries that it names.
add() {
  local file=$1 needed found
  [ -f "$file" ] || fail 1 "a package lacks ${file#"$work"/}; delete cache/packages/stress, run 'apt-get update' as root, and try again."
  cp -L "$file" "$2"
  for needed in $(objdump -p "$file" | sed -n 's/^ *NEEDED *//p'); do
    [ ! -e "$tree/lib/$needed" ] || continue
    found=$(find "$work/lib" "$work/usr/lib" -name "$needed" 2>/dev/null | head -n 1)
    [ -n "$found" ] || fail 1 "no package has $needed; delete cache/packages/stress and try again."
    add "$found" "$tree/lib/$needed"
  done
}
add "$work/usr/bin/stress-ng" "$tree/stress-ng"
add "$work/usr/bin/hackbench" "$tree/hackbench"
add "$work/usr/lib/gcc/x86_64-linux-gnu/12/cc1" "$tree/cc1"
add "$(find "$work/lib" "$work/usr/lib" -name 'ld-linux-x86-64.so.2' | head -n 1)" "$tree/lib/ld-linux-x86-64.so.2"
install -m 755 "$root/scripts/guest-stress-init" "$tree/init"

{
  cat "$guest/initrd"
  (cd "$work/initramfs" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet | gzip -6 -n)
} >"$guest/initrd-stress.part"
mv "$guest/initrd-stress.part" "$guest/initrd-stress"
echo "$wanted" >"$stamp"
rm -f "$downloads"/*.deb
say "the guest with stress-ng is cache/guest/initrd-stress"
