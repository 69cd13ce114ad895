#!/usr/bin/env bash
# Makes cache/guest/initrd-stress: the guest of scripts/fetch_guest.sh with what tries several processors hard:
# Debian's stress-ng, hackbench (rt-tests) and the C compiler proper (cc1) with a source file. Boot it with
# rdinit=/stress/init. Does nothing when it is there already.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$root/scripts/programs.sh"

guest=$root/cache/guest
stamp=$guest/stress-made-from

"$root/scripts/fetch_guest.sh"
wanted=$(sha256sum "$guest/made-from" "$0" "$root/scripts/programs.sh" "$root/scripts/guest-stress-init" | cut -d' ' -f1)
if [ -f "$guest/initrd-stress" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi

work=$(mktemp -d "$root/cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "downloading stress-ng, rt-tests and cpp-12 with their libraries"
programs_download "$work" stress-ng rt-tests cpp-12
tree=$work/initramfs/stress
mkdir -p "$tree/lib"
add() { programs_add "$work" "$1" "$2" "$tree/lib"; }
add usr/bin/stress-ng "$tree/stress-ng"
add usr/bin/hackbench "$tree/hackbench"
add usr/lib/gcc/x86_64-linux-gnu/12/cc1 "$tree/cc1"
loader=$(programs_library "$work" ld-linux-x86-64.so.2)
add "${loader#"$work/tree/"}" "$tree/lib/ld-linux-x86-64.so.2"
install -m 755 "$root/scripts/guest-stress-init" "$tree/init"

{
  cat "$guest/initrd"
  (cd "$work/initramfs" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet | gzip -6 -n)
} >"$guest/initrd-stress.part"
mv "$guest/initrd-stress.part" "$guest/initrd-stress"
echo "$wanted" >"$stamp"
say "the guest with stress-ng is cache/guest/initrd-stress"
