#!/usr/bin/env bash
# Makes cache/guest/initrd-drivers: the guest of scripts/fetch_guest.sh with the drivers of its kernel that are modules, for
# the tests of devices. Boot it with rdinit=/drivers/init. Does nothing when it is there already.
set -euo pipefail
. "$(dirname "$0")/common.sh"

guest=$root/cache/guest
downloads=$root/cache/packages
stamp=$guest/drivers-made-from
# What they depend on comes with them.
modules=(virtio_pci virtio_mmio virtio_blk virtio-rng virtio_net e1000 ne2k-pci virtio_console virtio_balloon crc32c_generic ext4 nvme ahci ata_piix sd_mod sr_mod isofs
  virtio_scsi virtio_input xhci_pci usbhid hid_generic evdev)
# Loaded only where the kernel's command line has drivers=screen: they take the console along.
screen_modules=(bochs)
# The same for drivers=vsock, drivers=share and drivers=pmem: nobody else waits for them.
vsock_modules=(vmw_vsock_virtio_transport)
share_modules=(virtiofs)
pmem_modules=(nd_virtio virtio_pmem nd_pmem)
# Not loaded by themselves: the first looks for a controller for seconds, the other is for tests/kvm/nested.sh.
by_hand=(floppy kvm-amd)

"$root/scripts/fetch_guest.sh"
wanted=$(sha256sum "$guest/made-from" "$0" "$root/scripts/guest-drivers-init" "$root/scripts/guest-dhcp" | cut -d' ' -f1)
if [ -f "$guest/initrd-drivers" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi

read -r package version <"$guest/made-from"
mkdir -p "$downloads"
rm -f "$downloads/$package"_*.deb
say "downloading $package again, for its drivers"
(cd "$downloads" && apt-get download -q "$package=$version") >"$downloads/$package.log" 2>&1 || {
  grep '^E:' "$downloads/$package.log" >&2 || true
  fail 1 "$package $version could not be downloaded; delete cache/guest, run 'apt-get update' as root, and try again."
}

work=$(mktemp -d "$root/cache/unpack.XXXXXX")
trap 'rm -rf "$work"' EXIT
dpkg-deb --fsys-tarfile "$downloads/$package"_*.deb | tar -x -C "$work" --wildcards '*.ko*'
drivers=$work/initramfs/drivers
mkdir -p "$drivers"

# add MODULE: copies it behind what it depends on, as the module itself says, and notes it in $order.
order=$drivers/order
declare -A added
add() {
  local name=${1//-/_} file needed
  [ -z "${added[$name]:-}" ] || return 0
  added[$name]=yes
  # Module names have underscores where file names may have hyphens. None found: built into this kernel.
  file=$(find "$work/lib" -name '*.ko*' | sed -n "\\,/${name//_/[-_]}\\.ko\\(\\.xz\\)\\?\$,p" | head -n 1)
  [ -n "$file" ] || return 0
  [ "$file" = "${file%.xz}" ] || { xz -d "$file" && file=${file%.xz}; }
  for needed in $(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr ',' ' '); do add "$needed"; done
  cp "$file" "$drivers/"
  basename "$file" >>"$order"
}
for module in "${modules[@]}"; do add "$module"; done
order=$drivers/order.screen
for module in "${screen_modules[@]}"; do add "$module"; done
order=$drivers/order.vsock
for module in "${vsock_modules[@]}"; do add "$module"; done
order=$drivers/order.share
for module in "${share_modules[@]}"; do add "$module"; done
order=$drivers/order.pmem
for module in "${pmem_modules[@]}"; do add "$module"; done
order=$drivers/by-hand
for module in "${by_hand[@]}"; do add "$module"; done
install -m 755 "$root/scripts/guest-drivers-init" "$drivers/init"
install -m 755 "$root/scripts/guest-dhcp" "$drivers/dhcp"
# The kernel unpacks one archive after the other.
{
  cat "$guest/initrd"
  (cd "$work/initramfs" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) | gzip -9 -n
} >"$guest/initrd-drivers.new"
mv "$guest/initrd-drivers.new" "$guest/initrd-drivers"
printf '%s\n' "$wanted" >"$stamp"
rm -f "$downloads/$package"_*.deb
say "the guest with drivers is in cache/guest: $(cat "$drivers"/order* | wc -l) modules"
