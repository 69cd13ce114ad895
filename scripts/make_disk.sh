#!/usr/bin/env bash
# Makes cache/guest/debian-12.raw: a disk with Debian 12 that boots by BIOS and by UEFI. Usage:
#   scripts/make_disk.sh [--with PACKAGE[,PACKAGE...]] [--output FILE]
# GPT: a BIOS boot partition with GRUB, a system partition for UEFI with GRUB, and ext4. GRUB and Linux speak on the screen
# and on COM1; logins there, user "root", password "eidolon". Needs no root (mmdebstrap uses a user namespace then) and
# no loop device. Does nothing when the disk is there already and was made by the same script.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$root/scripts/apt_other.sh"

with=
image=$root/cache/guest/debian-12.raw
while [ $# -gt 0 ]; do
  case $1 in
    --with) with=,$2 && shift 2 ;;
    --output) image=$(realpath "$2") && shift 2 ;;
    *) fail 2 "unknown option '$1'; usage: scripts/make_disk.sh [--with PACKAGES] [--output FILE]." ;;
  esac
done

# In MiB: where the three partitions begin, and the whole. The last one is for the second copy of the GPT.
boot_at=1 esp_at=2 root_at=34 end_at=1279 whole=1280
parts=$root/scripts/disk
stamp=$image.made-from
wanted=$(cat "$0" "$parts"/* | sha256sum | cut -d' ' -f1)$with
[ ! -f "$image" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || exit 0
for tool in mmdebstrap sfdisk mke2fs mkfs.vfat mcopy; do
  PATH=$PATH:/sbin:/usr/sbin command -v $tool >/dev/null ||
    fail 1 "'$tool' is missing; run scripts/dependencies.sh disk."
done
PATH=$PATH:/sbin:/usr/sbin

mkdir -p "$(dirname "$image")"
work=$(mktemp -d "$(dirname "$image")/make-disk.XXXXXX")
# Files that belong to others of a user namespace can only be removed from inside it.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else mmdebstrap --unshare-helper "$@"; fi; }
trap 'as_root rm -rf "$work"' EXIT
export EIDOLON_ROOT_UUID EIDOLON_ESP_ID EIDOLON_PARTS=$parts
EIDOLON_ROOT_UUID=$(cat /proc/sys/kernel/random/uuid)
EIDOLON_ESP_ID=$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')

# Without what a virtual machine has no hardware for, and without documentation, half is left.
left_out=()
for path in /usr/share/{doc,man,info,locale,lintian} \
  "/lib/modules/*/kernel/"{sound,drivers/{gpu,media,infiniband,iio,staging,isdn,comedi,mtd,net/wireless,net/ethernet/mellanox},lib/test_bpf.ko}; do
  left_out+=("--dpkgopt=path-exclude=$path*")
done
say "making a Debian 12 system (a minute or two)"
debian_source_lines >"$work/sources.list"
[ -s "$work/sources.list" ] ||
  fail 1 "apt knows no Debian package source here; run 'apt-get update' as root and try again."
# The kernel's package would have the initial RAM disk made twice; after-packages makes it once.
INITRD=No mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io "${left_out[@]}" \
  --include="linux-image-amd64,systemd-sysv,udev,login,zstd,iproute2,grub-pc-bin,grub-efi-amd64-bin,grub2-common$with" \
  --customize-hook="$parts/after-packages \"\$1\"" \
  bookworm "$work/root.tar" "$work/sources.list" >"$work/log" 2>&1 || {
  tail -n 15 "$work/log" >&2
  fail 1 "mmdebstrap could not make the system; check the network, run 'apt-get update' as root, and try again."
}

say "making the disk"
truncate -s "${whole}M" "$work/disk"
sfdisk --quiet "$work/disk" <<END
label: gpt
start=${boot_at}MiB, size=$((esp_at - boot_at))MiB, type=21686148-6449-6E6F-744E-656564454649, name=bios
start=${esp_at}MiB, size=$((root_at - esp_at))MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
start=${root_at}MiB, size=$((end_at - root_at))MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
END
# The owners in the archive are only right for root.
as_root sh -euc 'mkdir "$1/tree" && tar -xp --numeric-owner -C "$1/tree" -f "$1/root.tar"
  mke2fs -q -t ext4 -L root -U "$2" -d "$1/tree" -E "offset=$(($3 << 20))" "$1/disk" "$((($4 - $3) << 10))k"
  cp "$1"/tree/boot/grub/boot.img "$1"/tree/boot/grub/core.img "$1"/tree/boot/grub/bootx64.efi "$1"' \
  - "$work" "$EIDOLON_ROOT_UUID" $root_at $end_at >"$work/log" 2>&1 || {
  tail -n 15 "$work/log" >&2
  fail 1 "the file system of the disk could not be made; the lines above say why."
}
mkfs.vfat -F 16 -n ESP -i "$EIDOLON_ESP_ID" --offset $((esp_at * 2048)) "$work/disk" $(((root_at - esp_at) * 1024)) >/dev/null
mmd -i "$work/disk@@${esp_at}M" ::EFI ::EFI/BOOT
mcopy -i "$work/disk@@${esp_at}M" "$work/bootx64.efi" ::EFI/BOOT/BOOTX64.EFI
"$parts/embed-grub" "$work/disk" "$work/boot.img" "$work/core.img" $((boot_at * 2048)) $(((esp_at - boot_at) * 2048))

mv "$work/disk" "$image"
printf '%s\n' "$wanted" >"$stamp"
say "the disk is $image ($(du -m "$image" | cut -f1) MiB)"
