# Packs a static busybox and scripts/guest-init as an initramfs. Wants scripts/common.sh.
# shellcheck shell=bash

# pack_initramfs BUSYBOX TREE FILE: TREE is made, FILE is the archive.
pack_initramfs() {
  local busybox=$1 tree=$2 file=$3
  mkdir -p "$tree"/{bin,dev,proc,root,sys,tmp}
  cp "$busybox" "$tree/bin/"
  install -m 755 "$root/scripts/guest-init" "$tree/init"
  ln -s busybox "$tree/bin/sh"
  (cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) | gzip -9 -n >"$file"
}
