#!/usr/bin/env bash
# Makes cache/guest/initrd-network: the guest of scripts/fetch_drivers.sh with Debian's iperf3 and its small SSH server,
# dropbear, in /bin. Boot it with rdinit=/drivers/init. Does nothing when it is there already.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$root/scripts/programs.sh"

guest=$root/cache/guest
stamp=$guest/network-made-from

"$root/scripts/fetch_drivers.sh"
wanted=$(cat "$guest/drivers-made-from" "$0" "$root/scripts/programs.sh" | sha256sum | cut -d' ' -f1)
if [ -f "$guest/initrd-network" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi

work=$(mktemp -d "$root/cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
say "downloading iperf3 and dropbear with their libraries"
programs_download "$work" iperf3 dropbear-bin
tree=$work/initramfs
mkdir -p "$tree"/{bin,lib,lib64}
add() { programs_add "$work" "$1" "$2" "$tree/lib"; }
add usr/bin/iperf3 "$tree/bin/iperf3"
add usr/sbin/dropbear "$tree/bin/dropbear"
add usr/bin/dropbearkey "$tree/bin/dropbearkey"
loader=$(programs_library "$work" ld-linux-x86-64.so.2)
add "${loader#"$work/tree/"}" "$tree/lib64/ld-linux-x86-64.so.2"

{
  cat "$guest/initrd-drivers"
  (cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet | gzip -6 -n)
} >"$guest/initrd-network.part"
mv "$guest/initrd-network.part" "$guest/initrd-network"
echo "$wanted" >"$stamp"
say "the guest with iperf3 and dropbear is cache/guest/initrd-network"
